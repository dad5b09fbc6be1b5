"""Resolution of `auto` in settings, with a reason for each choice."""

from typing import Any, NamedTuple

import torch

from uota.console import printable
from uota.data import Source, labels_of
from uota.data.files.pixels import PixelRange
from uota.encoders.encoder import SMALL_IMAGE
from uota.errors import UotaError
from uota.methods import Card
from uota.methods.build import find_method
from uota.settings.pretrain import Pretrain
from uota.views import ViewPreset, find_preset
from uota.views.presets import GROUPS

MAX_CLASSES = 1_000_000  # higher labels are identifiers rather than classes
UNDECIDED = ("auto", GROUPS, None)
# Default methods. On groups SimCLR learned far more than SwAV did (docs/worth.md).
METHOD, METHOD_OF_GROUPS = "swav", "simclr"
# Length of a run for which neither epochs nor steps is given.
EPOCHS = 12
# Presets for groups without an accelerator, by number of channels.
SMALL_GROUPS = {1: "small-grey-groups", 3: "small-groups"}


class Choice(NamedTuple):
    """A setting that was left to the package, and what it became.

    Attributes:
        name: name of the setting, as a flat flag.
        value: the value chosen.
        reason: reason to show to the user.
    """

    name: str
    value: Any
    reason: str


def resolve_auto(settings: Pretrain, source: Source, trained: bool = False) -> Pretrain:
    """Return settings with nothing left on `auto`, as they are written to the run folder.

    Args:
        settings: settings of a run.
        source: its images.
        trained: whether the run is already trained, so that `source` need not have its classes, or any labels.

    Raises:
        UotaError: there is no such preset of views, or it is for another number of channels than the images have.
    """
    return explain_auto(settings, source, trained)[0]


def explain_auto(settings: Pretrain, source: Source, trained: bool = False) -> tuple[Pretrain, list[Choice]]:
    """Resolve settings as `resolve_auto` does; also return the choices made."""
    chosen = [_method(source)]
    card = find_method(chosen[0].value if settings.method.name == "auto" else settings.method.name)
    chosen.append(_views(settings, source, card))
    preset = _check_preset(settings, source, card, chosen[-1].value)
    small = preset.sizes[0].size <= SMALL_IMAGE
    size, arbiter = f"views of {preset.sizes[0].size} pixels", settings.arbitration.arbiter
    side, start = ("predictor", 0.5) if arbiter == "mahalanobis" else ("both", 0.0)
    chosen += [
        Choice("backbone", "tiny" if small else "resnet50", size),
        _arbiter_input(arbiter, preset),
        Choice("weighted_side", side, "as in the paper" if arbiter == "mahalanobis" else f"arbiter {arbiter}"),
        Choice("start", start, "as in the paper" if arbiter == "mahalanobis" else "weights from the first step"),
        Choice("sync_batch_norm", card.sync_batch_norm, f"as published for {card.title}"),
        Choice("pixel_range", _ends(source.pixel_range), "estimated from some of the images"),
        *_length(settings),
    ]
    asked = settings.as_flat()
    chosen = [choice for choice in chosen if asked[choice.name] in UNDECIDED and choice.value is not None]
    settings = settings.replace_flat(**{choice.name: choice.value for choice in chosen})
    if not trained:
        counted = _options_from_data(card, settings.method.options, source)
        settings = settings.replace_flat(method_options=settings.method.options | counted)
    return settings, chosen


def _method(source: Source) -> Choice:
    if source.unit == "group":
        return Choice("method", METHOD_OF_GROUPS, "groups of images")
    return Choice("method", METHOD, "single images")


def _views(settings: Pretrain, source: Source, card: Card) -> Choice:
    asked, accelerated = settings.views.preset, torch.cuda.is_available()
    device = "an accelerator" if accelerated else "no accelerator"
    if asked == GROUPS:
        return Choice("views", "large-groups" if accelerated else SMALL_GROUPS[source.channels], device)
    if asked != "auto":
        return Choice("views", asked, "given")
    if source.default_views:
        reason = f"views made for {printable(source.name)}"
        return Choice("views", card.small_views.get(source.channels, source.default_views), reason)
    small = card.small_views.get(source.channels, "small")
    return Choice("views", card.views if accelerated else small, device)


def _check_preset(settings: Pretrain, source: Source, card: Card, views: str) -> ViewPreset:
    own = [card.views, *card.small_views.values()]
    if card.small_views and views not in own:
        asked = settings.views.preset
        raise UotaError(f"{card.title} needs views of its own, not {asked!r}; choose --views {' or '.join(own)}")
    preset = find_preset(views)
    if source.channels != preset.channels:
        raise UotaError(
            f"{source.name} has images of {source.channels} channel(s) and the views are for {preset.channels}; "
            "choose another preset with --views"
        )
    return preset


def _arbiter_input(arbiter: str, preset: ViewPreset) -> Choice:
    if arbiter != "learned":
        return Choice("arbiter_input", "embeddings", f"arbiter {arbiter}")
    if preset.across_images:  # thumbnails of two images of one thing differ in where it is
        return Choice("arbiter_input", "features", "views across the images of a group")
    return Choice("arbiter_input", "thumbnails", "views of a single image")


def _length(settings: Pretrain) -> list[Choice]:
    if settings.optimization.steps is not None:
        return []
    return [Choice("epochs", EPOCHS, "the default length")]


def _ends(pixel_range: PixelRange | None) -> list[float] | None:
    return None if pixel_range is None else [float(end) for end in pixel_range]


def _options_from_data(card: Card, options: dict[str, Any], source: Source) -> dict[str, Any]:
    """Return the options of a method that follow from the source: the numbers of classes and of images."""
    classes = {"classes": _classes_of(source, options.get("classes"))} if card.needs_labels else {}
    return classes | ({"images": len(source)} if card.remembers(options) else {})


def _classes_of(source: Source, asked: Any) -> Any:
    """Return the number of classes for a method that learns from labels.

    Raises:
        UotaError: the labels are too many for a classifier, or more than the option allows.
    """
    highest = int(labels_of(source).max())
    if highest >= MAX_CLASSES:
        raise UotaError(f"{source.name} has a label of {highest}; number its classes from 0")
    if isinstance(asked, int) and asked <= highest:
        raise UotaError(f"the option classes is {asked} and {source.name} has a label of {highest}; leave it out")
    return highest + 1 if asked is None else asked
