"""Loading of encoders from a run, a file of weights, or timm."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm

from uota.console import printable
from uota.encoders.encoder import SMALL_IMAGE, Encoder
from uota.encoders.pretrained import NETWORK, PRETRAINED
from uota.encoders.weights import Weights, first_kernel, infer_backbone, load_weights, read_weights
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.methods.build import build_method
from uota.runs.run import Run, load_part
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.views import ViewPreset, find_preset
from uota.views.presets import preset_of

logger = logging.getLogger(__name__)

# Presets of views for third-party weights, by channels and by whether the first layer is for small images.
VIEWS = {(3, False): "supervised", (3, True): "small", (1, True): "small-grey"}
# Kernel sizes of the first layer for small images; ConvNeXt has 4 for large ones, hence the test for "vit".
SMALL_CONVOLUTION, SMALL_PATCH = 3, 4


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder and the preprocessing of its images.

    Attributes:
        name: name given by the user: a run's folder, a file, or a timm model.
        encoder: the encoder with its weights, in eval mode.
        backbone: name of the backbone: tiny, or a timm model.
        preset: preset of views, by which whole images are resized and normalised.
        settings: settings of the run; None: the encoder is not from a run.
    """

    name: str
    encoder: Any
    backbone: str
    preset: ViewPreset
    settings: Pretrain | None = None


def load_encoder(spec: EncoderSpec, untrained: bool = False) -> LoadedEncoder:
    """Load the encoder of a run, of a file of weights or of timm, and print which weights of a file were loaded.

    Args:
        spec: the encoder to load.
        untrained: load the same network with random weights; for a run, those of its seed.

    Raises:
        UotaError: there is no encoder of that name, or its weights do not fit.
    """
    path = path_of(spec.run)
    if not is_encoder(spec.run):
        raise UotaError(
            f"{spec.run} is not the folder of a run, not a file of weights and not the name of a timm model; "
            "give the folder that `uota pretrain --out` wrote, a state dict, pretrained, or e.g. resnet50"
        )
    if path.is_dir():
        return _of_run(Run(path), spec, untrained)
    if path.is_file():
        return _of_file(path, spec, untrained)
    if spec.run == PRETRAINED:
        return _of_timm(replace(spec, run=NETWORK), untrained)
    return _of_timm(spec, untrained)


def is_encoder(name: str) -> bool:
    """Whether `load_encoder` knows an encoder of this name; its weights may still be unavailable."""
    path = path_of(name)
    return path.is_dir() or path.is_file() or name == PRETRAINED or timm.is_model(name)


def check_no_run_options(spec: EncoderSpec) -> None:
    """Require that a run is given neither a backbone nor views.

    Raises:
        UotaError: it is.
    """
    if spec.backbone or spec.views != "auto":
        raise UotaError(f"{spec.run} is a run, which has its own backbone and views; omit --backbone and --views")


def _of_run(run: Run, spec: EncoderSpec, untrained: bool) -> LoadedEncoder:
    check_no_run_options(spec)
    settings = run.settings()
    encoder = build_method(settings).encoder
    if not untrained:
        load_part(encoder, run, "method.encoder")
    return LoadedEncoder(str(run.folder), encoder.eval(), settings.method.backbone, preset_of(settings), settings)


def _of_file(path: Path, spec: EncoderSpec, untrained: bool) -> LoadedEncoder:
    weights = read_weights(path, spec.pickle)
    backbone = spec.backbone or infer_backbone(weights, path)
    preset = find_preset(_views_of(weights, backbone, path) if spec.views == "auto" else spec.views)
    encoder = Encoder(backbone, preset.channels, preset.sizes[0].size)
    if not untrained:
        logger.info(f"{printable(path)}, as {backbone}: {load_weights(encoder.backbone, weights, path, backbone)}")
    return LoadedEncoder(str(path), encoder.eval(), backbone, preset)


def _views_of(weights: Weights, backbone: str, path: Path) -> str:
    channels, side = first_kernel(weights)
    small = backbone == "tiny" or side == SMALL_CONVOLUTION or ("vit" in backbone and side == SMALL_PATCH)
    if (channels, small) not in VIEWS:
        raise UotaError(f"{path} is for images of {channels} channel(s), which no preset has; choose one with --views")
    return VIEWS[channels, small]


def _of_timm(spec: EncoderSpec, untrained: bool) -> LoadedEncoder:
    if spec.backbone:
        raise UotaError(f"{spec.run} is a timm model, and --backbone is for files of weights; omit --backbone")
    preset = find_preset("supervised" if spec.views == "auto" else spec.views)
    size = preset.sizes[0].size
    if size < SMALL_IMAGE:
        raise UotaError(
            f"{spec.run} has weights for large images, and views {preset.name!r} are small; choose other --views"
        )
    build = Encoder if untrained else published_encoder
    encoder = build(spec.run, preset.channels, size)
    return LoadedEncoder(spec.run, encoder.eval(), spec.run, _as_timm(preset, encoder.backbone.pretrained_cfg))


def published_encoder(name: str, channels: int, size: int) -> Encoder:
    """Build an encoder with the weights that timm publishes.

    Raises:
        UotaError: they are unavailable.
    """
    try:
        return Encoder(name, channels, size, pretrained=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise UotaError(
            f"the weights of timm's {name} are unavailable: {str(error).splitlines()[0].rstrip('.')}; "
            "check the network connection, or give a file of weights with --backbone"
        ) from error


def _as_timm(preset: ViewPreset, published: dict[str, Any]) -> ViewPreset:
    """Adapt a preset to the normalisation and size of published weights; interpolation stays bilinear."""
    size = published["input_size"][-1]
    resize = round(size / published["crop_pct"])
    mean, std = tuple(published["mean"]), tuple(published["std"])
    return replace(preset, mean=mean, std=std, evaluation_size=size, evaluation_resize=resize)
