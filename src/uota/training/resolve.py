"""What `auto` in settings becomes."""

from typing import Any

import torch

from uota.data import Source, labels_of
from uota.encoders.encoder import SMALL_IMAGE
from uota.errors import UotaError
from uota.methods import Card
from uota.methods.build import find_method
from uota.settings.pretrain import Pretrain
from uota.views import find_preset
from uota.views.presets import GROUPS

MOST_CLASSES = 1_000_000  # that a layer is made for; higher labels are identifiers of something else
UNDECIDED = ("auto", GROUPS, None)
# Where nobody chose a method. Of groups SimCLR learned far more than SwAV did (docs/worth.md).
METHOD, METHOD_OF_GROUPS = "swav", "simclr"
# Views of groups without an accelerator, by channels.
SMALL_GROUPS = {1: "small-grey-groups", 3: "small-groups"}


def resolve_auto(settings: Pretrain, source: Source, trained: bool = False) -> Pretrain:
    """The settings with nothing left on `auto`: a run writes these down, and everything after reads them.

    Args:
        settings: of a run.
        source: of the images.
        trained: the run is trained already, and `source` need not have its classes, or any labels.

    Raises:
        UotaError: there is no such preset of views, or it is for another number of channels than the images have.
    """
    if settings.method.name == "auto":
        settings = settings.replace_flat(method=METHOD_OF_GROUPS if source.unit == "group" else METHOD)
    card = find_method(settings.method.name)
    views = settings.views.preset
    if views == "auto":
        views = _views_of(source, card)
    own = [card.views, *card.small_views.values()]
    if card.small_views and views not in own:
        raise UotaError(
            f"{settings.method.name} needs views of its own, not {views!r}; choose --views {' or '.join(own)}"
        )
    if views == GROUPS:
        views = "large-groups" if torch.cuda.is_available() else SMALL_GROUPS[source.channels]
    preset = find_preset(views)
    if source.channels != preset.channels:
        raise UotaError(
            f"{source.name} has images of {source.channels} channel(s) and the views are for {preset.channels}; "
            "choose another preset with --views"
        )
    small = preset.sizes[0].size <= SMALL_IMAGE
    # Two images of a thing differ in where it is, which thumbnails cannot look past.
    eyes = "features" if preset.across_images else "thumbnails"
    chosen: dict[str, Any] = {
        "views": views,
        "backbone": "tiny" if small else "resnet50",
        "arbiter_input": eyes if settings.arbitration.arbiter == "learned" else "embeddings",
        "weighted_side": "predictor" if settings.arbitration.arbiter == "mahalanobis" else "both",
        "start": 0.5 if settings.arbitration.arbiter == "mahalanobis" else 0.0,
        "sync_batch_norm": card.sync_batch_norm,
    }
    if settings.data.pixel_range is None and source.pixel_range is not None:
        settings = settings.replace_flat(pixel_range=[float(end) for end in source.pixel_range])
    if not trained:
        counted = _options_from_data(card, settings.method.options, source)
        settings = settings.replace_flat(method_options=settings.method.options | counted)
    asked = settings.as_flat()
    return settings.replace_flat(**{name: value for name, value in chosen.items() if asked[name] in UNDECIDED})


def _options_from_data(card: Card, options: dict[str, Any], source: Source) -> dict[str, Any]:
    """The options of a method that are numbers of a source: its classes, its images."""
    classes = {"classes": _classes_of(source, options.get("classes"))} if card.needs_labels else {}
    return classes | ({"images": len(source)} if card.remembers(options) else {})


def _classes_of(source: Source, asked: Any) -> Any:
    """How many classes a method that learns from labels needs.

    Raises:
        UotaError: more than a network can tell apart, or more than were asked for.
    """
    highest = int(labels_of(source).max())
    if highest >= MOST_CLASSES:
        raise UotaError(f"{source.name} has a label of {highest}; number its classes from 0")
    if isinstance(asked, int) and asked <= highest:
        raise UotaError(f"the option classes is {asked} and {source.name} has a label of {highest}; leave it out")
    return highest + 1 if asked is None else asked


def _views_of(source: Source, card: Card) -> str:
    if source.default_views:
        return card.small_views.get(source.channels, source.default_views)
    return card.views if torch.cuda.is_available() else card.small_views.get(source.channels, "small")
