"""An encoder, from wherever it is: a run of ours, a file of weights, or timm."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm

from uota.console import printable
from uota.encoders.encoder import SMALL_IMAGE, Encoder
from uota.encoders.weights import Weights, first_kernel, infer_backbone, load_weights, read_weights
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.methods.build import build_method
from uota.runs.run import Run, load_part
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.views import ViewPreset, find_preset
from uota.views.presets import preset_of

# Presets of views for weights of others, by channels and whether the first layer is for small images.
VIEWS = {(3, False): "supervised", (3, True): "small", (1, True): "small-grey"}
SMALL_CONVOLUTION, SMALL_PATCH = 3, 4  # of encoders for small images; ConvNeXt has 4 for large ones


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, and how images are brought to it.

    Attributes:
        name: as the user named it.
        encoder: with its weights, in eval mode.
        backbone: its name, tiny or timm's.
        preset: of views; an image to evaluate is sized and normalised by it.
        settings: of the run; None: it is no run of ours.
    """

    name: str
    encoder: Any
    backbone: str
    preset: ViewPreset
    settings: Pretrain | None = None


def load_encoder(origin: EncoderSpec, untrained: bool = False) -> LoadedEncoder:
    """The encoder of a run, of a file of weights, or of timm; says what was loaded of a file.

    Args:
        origin: of the encoder.
        untrained: the same network with random weights, a run's those that it began with.

    Raises:
        UotaError: there is none of that name, or it does not fit.
    """
    path = path_of(origin.run)
    if path.is_dir():
        return _of_run(Run(path), origin, untrained)
    if path.is_file():
        return _of_file(path, origin, untrained)
    if timm.is_model(origin.run):
        return _of_timm(origin, untrained)
    raise UotaError(
        f"{origin.run} is not the folder of a run, not a file of weights and not the name of a timm model; "
        "give the folder that `uota pretrain --out` wrote, a state dict, or e.g. resnet50"
    )


def _of_run(run: Run, origin: EncoderSpec, untrained: bool) -> LoadedEncoder:
    if origin.backbone or origin.views != "auto":
        raise UotaError(
            f"{run.folder} is a run, which has its own backbone and views; leave out --backbone and --views"
        )
    settings = run.settings()
    encoder = build_method(settings).encoder
    if not untrained:
        load_part(encoder, run, "method.encoder")
    return LoadedEncoder(str(run.folder), encoder.eval(), settings.backbone, preset_of(settings), settings)


def _of_file(path: Path, origin: EncoderSpec, untrained: bool) -> LoadedEncoder:
    weights = read_weights(path, origin.pickle)
    backbone = origin.backbone or infer_backbone(weights, path)
    preset = find_preset(_views_of(weights, backbone, path) if origin.views == "auto" else origin.views)
    encoder = Encoder(backbone, preset.channels, preset.sizes[0].size)
    if not untrained:
        print(f"{printable(path)}, as {backbone}: {load_weights(encoder.backbone, weights, path, backbone)}")
    return LoadedEncoder(str(path), encoder.eval(), backbone, preset)


def _views_of(weights: Weights, backbone: str, path: Path) -> str:
    channels, side = first_kernel(weights)
    small = backbone == "tiny" or side == SMALL_CONVOLUTION or ("vit" in backbone and side == SMALL_PATCH)
    if (channels, small) not in VIEWS:
        raise UotaError(f"{path} is for images of {channels} channel(s); say by --views how they are sized")
    return VIEWS[channels, small]


def _of_timm(origin: EncoderSpec, untrained: bool) -> LoadedEncoder:
    if origin.backbone:
        raise UotaError(f"{origin.run} is a timm model and --backbone is set; that goes with a file of weights")
    preset = find_preset("supervised" if origin.views == "auto" else origin.views)
    size = preset.sizes[0].size
    if size < SMALL_IMAGE:
        raise UotaError(f"{origin.run} has weights for large images and views {preset.name!r} are small; choose others")
    try:
        encoder = Encoder(origin.run, preset.channels, size, pretrained=not untrained)
    except (RuntimeError, OSError, ValueError) as error:
        raise UotaError(
            f"the weights of timm's {origin.run} cannot be had: {str(error).splitlines()[0]}; "
            "is there a network? else give a file of weights with --backbone"
        ) from error
    return LoadedEncoder(origin.run, encoder.eval(), origin.run, _as_timm(preset, encoder.backbone.pretrained_cfg))


def _as_timm(preset: ViewPreset, published: dict[str, Any]) -> ViewPreset:
    """The preset with the statistics and the size that the published weights go with (bilinear all the same)."""
    size = published["input_size"][-1]
    resize = round(size / published["crop_pct"])
    mean, std = tuple(published["mean"]), tuple(published["std"])
    return replace(preset, mean=mean, std=std, evaluation_size=size, evaluation_resize=resize)
