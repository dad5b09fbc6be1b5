"""Build a method from settings."""

import warnings
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from uota.encoders.encoder import Encoder, FeatureEncoder, scale_last_norms
from uota.encoders.heads import MLP
from uota.errors import UotaError
from uota.methods import METHODS, Card, Method, check_built, own_method
from uota.settings.parsing import options_of
from uota.settings.pretrain import Pretrain
from uota.views.presets import preset_of

# Largest view, in pixels, for which methods have small heads.
SMALL_VIEW = 96
# What constructors of networks raise when options do not fit.
UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, UserWarning)


def find_method(name: str) -> Card:
    """Find a method by its name here, or a user's own by package.module.Class.

    Raises:
        UotaError: there is none of that name, or it is a user's own that has not been allowed.
    """
    card = METHODS.get(name) or own_method(name)
    if card is None:
        raise UotaError(f"there is no method {name!r}; choose auto, {', '.join(METHODS)}, or give package.module.Class")
    return card


def build_method(settings: Pretrain, initial: Mapping[str, Tensor] | None = None) -> Method:
    """Build the method of a run with its encoder and heads, whose initial weights follow from the seed.

    Args:
        settings: of the run, without `auto`.
        initial: weights that the backbone starts from (`uota.runs.initial.read_initial`); None: random ones, as for a
            run that is resumed or trained, whose weights are in its checkpoint.
    """
    preset, card = preset_of(settings), find_method(settings.method.name)
    options = card.options | (card.small if preset.sizes[0].size <= SMALL_VIEW else {}) | _own_options(card, settings)
    torch.manual_seed(settings.runtime.seed)
    encoder = card.encoder(settings.method.backbone, preset.channels, preset.sizes[0].size)
    if settings.method.zero_init_last is not None:
        scale_last_norms(encoder, 0.0 if settings.method.zero_init_last else 1.0)
    stages, norms = settings.method.frozen_stages or 0, bool(settings.method.frozen_norms)
    if not isinstance(encoder, Encoder) and (stages or norms):
        raise UotaError(f"{card.title} has an encoder of its own, of which no stages or norms can be frozen")
    if isinstance(encoder, Encoder):
        encoder.freeze(stages, norms)
        if initial is not None:
            encoder.backbone.load_state_dict(initial)  # before a method copies the encoder
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*zero-element.*")
            method = card.build(encoder, **options)
    except UNFIT as error:
        raise UotaError(f"the options of {settings.method.name} do not fit: {error or type(error).__name__}") from error
    check_built(method, settings.method.name)
    assert isinstance(method, nn.Module)  # as every method is
    return method.to(memory_format=torch.channels_last)


def _own_options(card: Card, settings: Pretrain) -> dict[str, Any]:
    """Parse a method's options, which may come from a file, by the types that its constructor declares."""
    known = [name for name in signature(card.build).parameters if name != "encoder"]
    unknown = set(settings.method.options) - set(known)
    if unknown:
        raise UotaError(
            f"{settings.method.name} has no option {', '.join(sorted(map(str, unknown)))}; it has {', '.join(known)}"
        )
    if settings.method.name not in METHODS:  # the annotations of a user's constructor may be missing or loose
        return settings.method.options
    return options_of(card.build, settings.method.options, skip="encoder")


def check_statistics(method: Method, settings: Pretrain, images: int) -> None:
    """Require at least two images for batch statistics if each view has its own.

    The rows that a head normalises are then one view of each image.

    Args:
        method: that is trained.
        settings: of the run, without `auto`.
        images: number of images of each device in a step.

    Raises:
        UotaError: there is only one.
    """
    parts = settings.optimization.accumulate
    at_once = images // parts
    sharing = at_once * settings.runtime.ranks if settings.method.sync_batch_norm else at_once
    if sharing == 1 and getattr(method, "batch_norm", "joint") == "per_view":
        several = f" of {settings.runtime.ranks} devices" if settings.runtime.ranks > 1 else ""
        several += f" in {parts} parts (accumulate)" if parts > 1 else ""
        raise UotaError(
            f"batch_size {settings.optimization.batch}{several} leaves batch norm one image, and "
            f"{settings.method.name} normalises each view alone; raise batch_size to at least 2 images a "
            f"{'part' if parts > 1 else 'device'}, or set the option batch_norm to joint"
        )


def compile_method(method: nn.Module, devices: int = 1) -> None:
    """Compile the forward passes of a method's encoders, momentum copies included, of its heads, and its loss.

    Args:
        method: whose functions are replaced.
        devices: number of devices; the loss of several exchanges embeddings, and is left as it is.
    """
    for module in method.modules():
        if isinstance(module, FeatureEncoder):
            # A graph for each size of view: one for all sizes would be slower, and there are two or three.
            module.with_early_map = torch.compile(module.with_early_map, dynamic=False)  # type: ignore[method-assign]
        elif isinstance(module, MLP):
            module.forward = torch.compile(module.forward)  # type: ignore[method-assign]
    if devices == 1:
        whole: Any = method
        whole.loss = torch.compile(whole.loss)
