"""Resolution of `auto` in settings, with a reason for each choice."""

from typing import Any

import torch

from uota.console import printable
from uota.data import Source, labels_of
from uota.data.files.pixels import PixelRange
from uota.errors import UotaError
from uota.methods import Card
from uota.methods.build import find_method
from uota.runs.initial import RANDOM, InitialWeights, check_initial, describe_initial
from uota.settings.pretrain import Pretrain
from uota.training.default_eyes import choose_eyes
from uota.training.defaults import (
    Choice,
    choices_of_random,
    choices_of_weights,
    choose_init,
    choose_kept_share,
    choose_length,
    choose_refile,
)
from uota.views import ViewPreset
from uota.views.presets import GROUPS, preset_of

MAX_CLASSES = 1_000_000  # higher labels are identifiers rather than classes
UNDECIDED = ("auto", GROUPS, None)
# Default methods. On groups SimCLR learned far more than SwAV did (docs/worth.md); from given weights it and SwAV lose
# what the weights knew before they win, and BYOL, which pushes nothing apart, does not.
METHOD, METHOD_OF_GROUPS, METHOD_FROM_WEIGHTS = "swav", "simclr", "byol"
# Presets for groups without an accelerator, by number of channels, and those for weights that are given.
SMALL_GROUPS = {1: "small-grey-groups", 3: "small-groups"}
MEDIUM_WIDE, MEDIUM_GROUPS = "medium-wide", "medium-groups"


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
    asked = settings
    init = _init(settings, source)
    from_weights = init.value != RANDOM
    method = _method(source, from_weights)
    card = find_method(method.value if asked.method.name == "auto" else asked.method.name)
    chosen = [init, method, _views(asked, source, card, from_weights)]
    settings = _with(settings, chosen)
    preset = _check_preset(settings, source, card, asked.views.preset)
    chosen += _starting(settings, preset, card) if from_weights else choices_of_random(preset)
    settings = _with(settings, chosen)
    chosen += choose_eyes(settings, preset)
    settings = _with(settings, chosen)
    arbiter = settings.arbitration.arbiter
    side, start = ("predictor", 0.5) if arbiter == "mahalanobis" else ("both", 0.0)
    chosen += [
        Choice("weighted_side", side, "as in the paper" if arbiter == "mahalanobis" else f"arbiter {arbiter}"),
        Choice("start", start, "as in the paper" if arbiter == "mahalanobis" else "weights from the first step"),
        Choice("sync_batch_norm", card.sync_batch_norm, f"as published for {card.title}"),
        Choice("pixel_range", _ends(source.pixel_range), "estimated from some of the images"),
    ]
    settings = _with(settings, chosen)
    chosen += choose_length(settings, len(source))
    settings = _with(settings, chosen)
    chosen += choose_kept_share(asked, settings, source) + choose_refile(settings, source)
    settings = _with(settings, chosen)
    if not trained:
        _check_refile(settings, source)
        counted = _options_from_data(card, settings.method.options, source)
        settings = settings.replace_flat(method_options=settings.method.options | counted)
    return settings, [choice for choice in chosen if _is_open(asked, choice)]


def _check_refile(settings: Pretrain, source: Source) -> None:
    """Require groups, and weights to see them with, if files are to be re-filed.

    Raises:
        UotaError: there are none.
    """
    if settings.data.refile and source.unit != "group":
        raise UotaError("refile is set, and the images have no groups; set views to groups, or leave refile out")
    if settings.data.refile and settings.method.init == RANDOM:
        raise UotaError("refile is set, and init is random, which tells no files apart; set init to pretrained")


def _is_open(settings: Pretrain, choice: Choice) -> bool:
    """Whether the settings leave to the package what was chosen."""
    return settings.as_flat()[choice.name] in UNDECIDED and choice.value is not None


def _with(settings: Pretrain, chosen: list[Choice]) -> Pretrain:
    """Return the settings with what was chosen where they leave that open."""
    return settings.replace_flat(**{each.name: each.value for each in chosen if _is_open(settings, each)})


def _starting(settings: Pretrain, preset: ViewPreset, card: Card) -> list[Choice]:
    """Return what follows from the weights that a run starts from.

    They are looked up only for a new run: those of an earlier run, or their file, may be gone since.

    Raises:
        UotaError: there are no such weights, or they fit neither the backbone nor the views.
    """
    own = settings.method
    if not card.takes_weights:
        raise UotaError(f"{card.title} cannot start from init {own.init}; set init to random")
    if own.zero_init_last is not None:
        raise UotaError(f"zero_init_last is set, and the weights of init {own.init} are kept; set one of them to null")
    if own.backbone != "auto" and settings.views.mean is not None:
        return choices_of_weights(InitialWeights(own.init, own.backbone), preset)
    check_initial(own.init, preset)
    found = describe_initial(own.init, None if own.backbone == "auto" else own.backbone)
    return choices_of_weights(found, preset)


def _init(settings: Pretrain, source: Source) -> Choice:
    if settings.method.init != "auto":
        return Choice("init", settings.method.init, "given")
    name = settings.method.name
    return choose_init(settings, source, find_method(METHOD_FROM_WEIGHTS if name == "auto" else name))


def _method(source: Source, from_weights: bool) -> Choice:
    if source.unit == "group":
        return Choice("method", METHOD_OF_GROUPS, "groups of images")
    if from_weights:
        return Choice("method", METHOD_FROM_WEIGHTS, "from given weights")
    return Choice("method", METHOD, "single images")


def _views(settings: Pretrain, source: Source, card: Card, from_weights: bool) -> Choice:
    asked, accelerated = settings.views.preset, torch.cuda.is_available()
    device = "an accelerator" if accelerated else "no accelerator"
    if asked == GROUPS:
        small = MEDIUM_GROUPS if from_weights else SMALL_GROUPS[source.channels]
        return Choice("views", "large-groups" if accelerated else small, device)
    if asked != "auto":
        return Choice("views", asked, "given")
    if source.default_views:
        reason = f"views made for {printable(source.name)}"
        return Choice("views", card.small_views.get(source.channels, source.default_views), reason)
    small = card.small_views.get(source.channels, MEDIUM_WIDE if from_weights else "small")
    return Choice("views", card.views if accelerated else small, device)


def _check_preset(settings: Pretrain, source: Source, card: Card, asked: str) -> ViewPreset:
    own = [card.views, *card.small_views.values()]
    if card.small_views and settings.views.preset not in own:
        raise UotaError(f"{card.title} needs views of its own, not {asked!r}; choose --views {' or '.join(own)}")
    preset = preset_of(settings)
    if source.channels != preset.channels:
        raise UotaError(
            f"{source.name} has images of {source.channels} channel(s) and the views are for {preset.channels}; "
            "choose another preset with --views"
        )
    return preset


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
