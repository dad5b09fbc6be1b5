"""Weights that others saved: read from a file, and fitted to a backbone whatever the names were prefixed with."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from uota.console import printable
from uota.errors import UotaError

Weights = dict[str, Tensor]

# Where checkpoints keep their tensors (DINO: the teacher is the one that is evaluated).
INSIDE = ("state_dict", "model_state_dict", "model", "teacher", "net", "encoder", "backbone")
# Of two copies that fit equally, the one that was trained by gradient: MoCo's query encoder, BYOL's online network.
SECOND_COPIES = ("momentum", "encoder_k", "target", "teacher", "ema", "moving")
# lightly and others cut a ResNet with `nn.Sequential(*resnet.children())`, which leaves places instead of names.
CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
FIRST_LAYERS = ("conv1.weight", "stem.0.weight", "patch_embed.proj.weight")
MARKERS = {*FIRST_LAYERS, "layer1.0.conv1.weight", "layer4.1.conv2.weight", "stages.3.conv1.weight"}
DEEPEST_PREFIX = 5
DEEPEST = 20  # dictionaries within each other
# Of batch norms, beside their parameters.
STATISTICS = ("running_mean", "running_var")
RESNETS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}


@dataclass(frozen=True)
class Loaded:
    """What a backbone took from a file.

    Attributes:
        prefix: of the names in the file.
        used: how many tensors were taken.
        unused: names of those that were not.
    """

    prefix: str
    used: int
    unused: list[str]

    def __str__(self) -> str:
        below = f" below {self.prefix!r}" if self.prefix else ""
        named = ", ".join(map(printable, self.unused[:4])) + (" …" if len(self.unused) > 4 else "")
        return f"{self.used} tensors{below} loaded, {len(self.unused)} not needed" + (f": {named}" if named else "")


def read_weights(path: Path, pickle: bool = False) -> Weights:
    """The tensors of a file by torch or safetensors, out of whatever dictionaries they lie in.

    Args:
        path: of the file.
        pickle: read a file that holds more than tensors, which can run any code.

    Raises:
        UotaError: it is no such file, or needs `pickle`.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=not pickle)
    except UnpicklingError as error:
        if "safe_globals" in str(error):
            raise UotaError(
                f"{path} holds more than tensors, and reading that can run any code; if you trust where it is from, "
                "add --pickle=true"
            ) from error
        raise UotaError(f"{path} is no file of weights, or it is broken") from error
    except ImportError as error:
        raise UotaError(
            f"{path} was saved with {error.name}, which is not installed; install it, or save the state dict alone"
        ) from error
    except PermissionError as error:
        raise UotaError(f"{path} may not be read; ask its owner") from error
    except Exception as error:  # damage can look like anything; so can what a file says when it is unpickled
        raise UotaError(f"{path} is no file of weights, or it is broken") from error
    return _tensors_of(content, path)


def backbone_of(weights: Weights, path: Path) -> str:
    """The name of the backbone that these tensors are of, for those that tell: ResNets and `tiny`.

    Raises:
        UotaError: they do not tell.
    """
    _, names = _below_prefix(weights, MARKERS)
    if "stages.3.conv1.weight" in names and "stem.0.weight" in names:
        return "tiny"
    parts = (name.split(".") for name in names)
    blocks = Counter(stage for stage, *rest in parts if rest[1:] == ["conv1", "weight"])
    depths = tuple(blocks[f"layer{stage}"] for stage in (1, 2, 3, 4))
    found = RESNETS.get(("layer1.0.conv3.weight" in names, depths))
    if found is None:
        raise UotaError(f"{path} does not tell which network it is of; say it, e.g. --backbone=vit_small_patch16_224")
    return found


def first_kernel(weights: Weights) -> tuple[int, int]:
    """Channels of the images and side of the kernel in the layer that sees them; 3 and 7 where no layer is known."""
    _, names = _below_prefix(weights, MARKERS)
    first = next((names[name] for name in FIRST_LAYERS if name in names), torch.empty(0, 3, 7, 7))
    return first.shape[1], first.shape[-1]


def load_weights(backbone: nn.Module, weights: Weights, path: Path, name: str) -> Loaded:
    """Load into a backbone, all of which must be there; what else the file has is left.

    Args:
        backbone: of this name.
        weights: from `read_weights`.
        path: of the file, for what is said.
        name: of the backbone.

    Raises:
        UotaError: nothing fits, or not all of it, or what fits is not finite.
    """
    wanted = backbone.state_dict()
    prefix, offered = _below_prefix(weights, wanted.keys())
    found = {key: tensor for key, tensor in offered.items() if key in wanted}
    learned = [key for key in wanted if not key.endswith("num_batches_tracked")]
    missing = [key for key in learned if key not in found]
    if len(found) < len(learned) / 10:
        called = ", ".join(map(printable, list(weights)[:3]))
        raise UotaError(
            f"{path} has nothing that {name} could load: its tensors are called {called} …; "
            "name the network that it is of with --backbone"
        )
    other = next((key for key in learned if key in found and found[key].shape != wanted[key].shape), None)
    if other:
        raise UotaError(
            f"{path} is of another shape than {name}: {other} is {tuple(found[other].shape)} there and "
            f"{tuple(wanted[other].shape)} here; choose another --backbone, or another --views, "
            "which sets the channels and the size of images"
        )
    if missing:
        raise UotaError(
            f"{path} lacks {len(missing)} tensors of {name}, {missing[0]} for one; choose another --backbone"
        )
    check_finite(backbone, found, path)
    backbone.load_state_dict(wanted | found)
    kept = {id(tensor) for tensor in found.values()}
    return Loaded(prefix, len(found), [key for key, tensor in weights.items() if id(tensor) not in kept])


def _is_plain(tensor: Any) -> bool:
    """Whether a value of a file is a tensor with all its numbers, which is what a module can take."""
    if not isinstance(tensor, Tensor):
        return False
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta or tensor.is_complex())


def _tensors_of(content: Any, path: Path, depth: int = 0) -> Weights:
    if isinstance(content, nn.Module):
        return content.state_dict()
    if isinstance(content, Mapping):
        inner = next((content[key] for key in INSIDE if isinstance(content.get(key), Mapping | nn.Module)), None)
        if inner is not None and depth < DEEPEST:
            return _tensors_of(inner, path, depth + 1)
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise UotaError(f"{path} holds no tensors; looked in {', '.join(INSIDE)}")


def _below_prefix(weights: Weights, wanted: Collection[str]) -> tuple[str, Weights]:
    """The prefix below which most of the wanted names are, and the tensors there by the names they have then."""
    parts = {tuple(key.split(".")[:depth]) for key in weights for depth in range(1, DEEPEST_PREFIX + 1)}
    prefixes = ["", *sorted(".".join(part) + "." for part in parts)]

    def fitness(prefix: str) -> tuple[int, bool, int]:
        fitting = sum(name in wanted for name in _below(weights, prefix))
        return fitting, not any(copy in prefix for copy in SECOND_COPIES), -len(prefix)

    best = max(prefixes, key=fitness)
    return best, _below(weights, best)


def _below(weights: Weights, prefix: str) -> Weights:
    return {_named(key.removeprefix(prefix)): weights[key] for key in weights if key.startswith(prefix)}


def _named(key: str) -> str:
    first, dot, rest = key.partition(".")
    return CHILDREN.get(first, first) + dot + rest


def check_finite(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Require weights that are numbers: of others an encoder's features say nothing, and rank as if they did.

    Args:
        module: that they are for; what it keeps beside parameters and batch norms' statistics may be infinite.
        weights: by the names that the module has for them.
        path: of their file, for the message.

    Raises:
        UotaError: some are NaN or infinite, or no plain tensors.
    """
    learned = {name for name, _ in module.named_parameters()}
    checked = {name: each for name, each in weights.items() if name in learned or name.endswith(STATISTICS)}
    odd = [name for name, each in checked.items() if not _is_plain(each)]
    if odd:
        raise UotaError(f"{path} has weights that are no plain tensors, {odd[0]} for one; save them as dense floats")
    broken = [name for name, each in checked.items() if not bool(torch.isfinite(each).all())]
    if broken:
        raise UotaError(
            f"{path} has NaN or infinite values in {len(broken)} of {len(checked)} tensors, {broken[0]} for one: its "
            "training has diverged, or the file is damaged; give another checkpoint"
        )
