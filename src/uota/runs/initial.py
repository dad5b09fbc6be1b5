"""The weights that an encoder starts from: public ones, those of a file, or those of an earlier run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from uota.console import printable
from uota.encoders.encoder import SMALL_IMAGE, Encoder
from uota.encoders.pretrained import MEAN, NETWORK, PRETRAINED, STD
from uota.encoders.weights import infer_backbone, load_weights, read_weights
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.runs.encoder import load_encoder, published_encoder
from uota.runs.run import Run
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.views import ViewPreset
from uota.views.presets import preset_of

logger = logging.getLogger(__name__)

RANDOM = "random"


@dataclass(frozen=True)
class InitialWeights:
    """What follows from weights that an encoder may start from.

    Attributes:
        init: their name.
        backbone: the network that has them.
        mean, std: by which they want images to be normalised; None: as the views are.
    """

    init: str
    backbone: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def describe_initial(init: str, backbone: str | None = None) -> InitialWeights:
    """Find out what follows from initial weights, without downloading any.

    Args:
        init: value of the setting, not auto or random.
        backbone: the network of a file, if it is known.

    Raises:
        UotaError: there are no such weights, or the backbone is another one.
    """
    found = _describe(init, backbone)
    if backbone is not None and backbone != found.backbone:
        raise UotaError(f"init {init} is a {found.backbone}, and backbone is {backbone}; leave backbone out")
    return found


def _describe(init: str, backbone: str | None) -> InitialWeights:
    path = path_of(init)
    if init == PRETRAINED:
        return InitialWeights(init, NETWORK, MEAN, STD)
    if path.is_dir():
        settings = Run(path).settings()
        preset = preset_of(settings)
        return InitialWeights(init, settings.method.backbone, preset.mean, preset.std)
    if path.is_file():
        return InitialWeights(init, backbone or infer_backbone(_read(path), path))
    if timm.is_model(init):
        published: Any = timm.get_pretrained_cfg(init)
        if published is None or not published.has_weights:
            raise UotaError(f"timm publishes no weights of {init}; choose another init, or random with --backbone")
        return InitialWeights(init, init, tuple(published.mean), tuple(published.std))
    raise UotaError(
        f"init is {init}, which is not the folder of a run, not a file of weights and not the name of a timm model; "
        "give random, pretrained, a state dict, or e.g. resnet50"
    )


def located_init(init: str) -> str:
    """Return a value of the setting that is valid in every working directory."""
    named = init in ("auto", RANDOM, PRETRAINED) or not path_of(init).exists()
    return init if named else str(path_of(init).absolute())


def check_initial(init: str, preset: ViewPreset) -> None:
    """Require views that the network of published weights was made for.

    Raises:
        UotaError: the views are grey or small.
    """
    if init != PRETRAINED and path_of(init).exists():
        return  # weights for any size and number of channels, which loading compares
    if preset.channels != 3:
        raise UotaError(f"the weights of init {init} are for colour, and views {preset.name!r} are grey; use random")
    if preset.sizes[0].size < SMALL_IMAGE:
        raise UotaError(
            f"the weights of init {init} are for large images, and the views have {preset.sizes[0].size} pixels; "
            f"choose --views medium, or a --size of at least {SMALL_IMAGE}"
        )


def read_initial(settings: Pretrain) -> Mapping[str, Tensor] | None:
    """Read the weights that a run's backbone starts from; None: random ones.

    Args:
        settings: of the run, without `auto`.

    Raises:
        UotaError: they are unavailable, or do not fit the network.
    """
    init, backbone, preset = settings.method.init, settings.method.backbone, preset_of(settings)
    if init in (RANDOM, "auto"):  # a run of an earlier version has no such setting
        return None
    path, size = path_of(init), preset.sizes[0].size
    if init == PRETRAINED or not path.exists():
        describe_initial(init, backbone)
        return _state(published_encoder(init if init != PRETRAINED else NETWORK, preset.channels, size))
    encoder = Encoder(backbone, preset.channels, size)
    if path.is_file():
        logger.info(f"{printable(path)}, as {backbone}: {load_weights(encoder.backbone, _read(path), path, backbone)}")
        return _state(encoder)
    earlier = load_encoder(EncoderSpec(str(path))).encoder
    if not isinstance(earlier, Encoder):
        raise UotaError(f"{path} has an encoder of several networks, from which another run cannot start")
    load_weights(encoder.backbone, _state(earlier), path, backbone)
    return _state(encoder)


def _read(path: Path) -> dict[str, Tensor]:
    return read_weights(path, remedy=f"convert it: uota export {path} --pickle=true --to safetensors --out FILE")


def _state(encoder: Encoder) -> dict[str, Tensor]:
    return encoder.backbone.state_dict()
