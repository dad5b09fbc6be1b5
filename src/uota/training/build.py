"""From settings to the objects of a run."""

import warnings
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import nn

from uota.arbitration import Arbiter, ViewSampler
from uota.arguments import options_of
from uota.config import IMAGE_MEGABYTES, Pretrain, Reading
from uota.data import FolderOptions, Groups, Source, labels_of, open_groups, open_source
from uota.errors import UotaError
from uota.methods import METHODS, Card, check_built, own_method
from uota.nn.encoder import SMALL_IMAGE, FeatureEncoder, scale_last_norms
from uota.nn.sync_batchnorm import synchronised
from uota.ranges import check_pixel_range
from uota.training.module import Pretraining
from uota.views import PRESETS, ViewPreset, find_preset

# The released SwAV + UOTA code has τ = 350 at dimension 128.
TAU_PER_DIMENSION = 2.7
MOST_CLASSES = 1_000_000  # that a layer is made for; higher labels are identifiers of something else
# As a choice of views: those of the kind that goes across the images of a group.
GROUPS = "groups"
UNDECIDED = ("auto", GROUPS, None)
# Views of a source, where nobody chose them. Pictures of other sources get `small` without an accelerator, else `swav`.
VIEWS_OF = {
    "demo-scenes": "scenes",
    "demo-scenes-colour": "scenes-colour",
    "demo": "small-grey",
    "fashion-mnist": "small-grey",
}
# What constructors of networks raise at numbers that they cannot be built with.
UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, UserWarning)
# Where nobody chose a method. Of groups SimCLR learned far more than SwAV did (docs/worth.md).
METHOD, METHOD_OF_GROUPS = "swav", "simclr"
# Views of groups without an accelerator, by channels.
SMALL_GROUPS = {1: "small-grey-groups", 3: "small-groups"}


def open_items(data: str, views: str, split: str | None = "train", folder: FolderOptions | None = None) -> Source:
    """What a preset makes views of: the images of a source, or the groups of a folder; None as split: all groups.

    Raises:
        UotaError: there is no such source, or nothing in it to make these views of.
    """
    if views == GROUPS or (views in PRESETS and PRESETS[views].across_images):
        return open_groups(data, split, folder)
    return open_source(data, split or "train", folder)


def open_images(data: str, views: str, split: str, folder: FolderOptions | None = None) -> Source:
    """The images that a run with such views was trained on; of groups, the files of whole groups."""
    source = open_items(data, views, split, folder)
    return source.files if isinstance(source, Groups) else source


def folder_options(run: Pretrain | None = None, reading: Reading | None = None) -> FolderOptions:
    """How images in files are read: as somebody says, else as the run did, else by default."""
    reading = reading or Reading()
    pixel_range = reading.pixel_range or (run.pixel_range if run else None)
    megabytes = reading.image_megabytes or (run.image_megabytes if run else IMAGE_MEGABYTES)
    return FolderOptions(pixel_range=check_pixel_range(pixel_range), image_megabytes=megabytes)


def decide(settings: Pretrain, source: Source, trained: bool = False) -> Pretrain:
    """The settings with nothing left on `auto`: a run writes these down, and everything after reads them.

    Args:
        settings: of a run.
        source: of the images.
        trained: the run is trained already, and `source` need not have its classes, or any labels.

    Raises:
        UotaError: there is no such preset of views, or it is for another number of channels than the images have.
    """
    if settings.method == "auto":
        settings = replace(settings, method=METHOD_OF_GROUPS if isinstance(source, Groups) else METHOD)
    card = find_method(settings.method)
    views = settings.views
    if views == "auto":
        views = _views_of(source, card)
    own = [card.views, *card.small_views.values()]
    if card.small_views and views not in own:
        raise UotaError(f"{settings.method} needs views of its own, not {views!r}; choose --views {' or '.join(own)}")
    if views == GROUPS:
        views = "large-groups" if torch.cuda.is_available() else SMALL_GROUPS[source.channels]
    preset = find_preset(views)
    if source.channels != preset.channels:
        raise UotaError(
            f"{source.name} has images of {source.channels} channel(s) and the views are for {preset.channels}; "
            "choose another preset with --views"
        )
    small = preset.groups[0].size <= SMALL_IMAGE
    # Two images of a thing differ in where it is, which thumbnails cannot look past.
    eyes = "features" if preset.across_images else "thumbnails"
    chosen: dict[str, Any] = {
        "views": views,
        "backbone": "tiny" if small else "resnet50",
        "look": eyes if settings.arbiter == "learned" else "embeddings",
        "weigh": "predictor" if settings.arbiter == "mahalanobis" else "both",
        "start": 0.5 if settings.arbiter == "mahalanobis" else 0.0,
        "sync_batch_norm": card.sync_batch_norm,
    }
    pixel_range = getattr(source, "pixel_range", None)
    if settings.pixel_range is None and pixel_range is not None:
        settings = replace(settings, pixel_range=[float(end) for end in pixel_range])
    if not trained:
        counted = _counted(card, settings.method_options, source)
        settings = replace(settings, method_options=settings.method_options | counted)
    return replace(settings, **{name: value for name, value in chosen.items() if getattr(settings, name) in UNDECIDED})


def _counted(card: Card, options: dict[str, Any], source: Source) -> dict[str, Any]:
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
    if source.name in VIEWS_OF:
        return card.small_views.get(source.channels, VIEWS_OF[source.name])
    return card.views if torch.cuda.is_available() else card.small_views.get(source.channels, "small")


def preset_of(settings: Pretrain) -> ViewPreset:
    """The preset of views of decided settings."""
    preset = find_preset(settings.views)
    preset = preset if settings.local_views is None else preset.with_local_views(settings.local_views)
    return preset.with_options(settings.view_options)


def find_method(name: str) -> Card:
    """A method by its name here, or a user's own by package.module.Class.

    Raises:
        UotaError: there is none, or it is a user's own that nobody allowed.
    """
    card = METHODS.get(name) or own_method(name)
    if card is None:
        raise UotaError(f"there is no method {name!r}; choose auto, {', '.join(METHODS)}, or give package.module.Class")
    return card


def build_method(settings: Pretrain) -> Any:
    """The method, its encoder and heads, with weights that follow from the seed."""
    preset, card = preset_of(settings), find_method(settings.method)
    options = card.options | (card.small if preset.groups[0].size <= SMALL_IMAGE else {}) | _own_options(card, settings)
    torch.manual_seed(settings.seed)
    encoder = card.encoder(settings.backbone, preset.channels, preset.groups[0].size)
    if settings.zero_init_last is not None:
        scale_last_norms(encoder, 0.0 if settings.zero_init_last else 1.0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*zero-element.*")
            method = card.build(encoder, **options)
    except UNFIT as error:
        raise UotaError(f"the options of {settings.method} do not fit: {error or type(error).__name__}") from error
    check_built(method, settings.method)
    return method.to(memory_format=torch.channels_last)


def _own_options(card: Card, settings: Pretrain) -> dict[str, Any]:
    """A method's options from the settings, which may lie in a file, by the types that its constructor says."""
    known = [name for name in signature(card.build).parameters if name != "encoder"]
    unknown = set(settings.method_options) - set(known)
    if unknown:
        raise UotaError(
            f"{settings.method} has no option {', '.join(sorted(map(str, unknown)))}; it has {', '.join(known)}"
        )
    if settings.method not in METHODS:  # the types that a user writes need not be all there is to say of them
        return settings.method_options
    return options_of(card.build, settings.method_options, skip="encoder")


def build_arbiter(settings: Pretrain, dim: int) -> Arbiter | None:
    """The arbiter of a run, or None."""
    if settings.arbiter == "none":
        return None
    if settings.arbiter == "mahalanobis":
        tau = settings.tau if settings.tau is not None or settings.ess is not None else TAU_PER_DIMENSION * dim
        paper = {"ess": settings.ess, "anchors": settings.anchors, "covariance": settings.covariance}
        return Arbiter("mahalanobis", start=settings.start or 0.0, tau=tau, **paper)
    seed = {"seed": settings.seed} if settings.arbiter == "learned" else {}
    return Arbiter(settings.arbiter, start=settings.start or 0.0, **seed)


def build_sampler(settings: Pretrain) -> ViewSampler | None:
    """What chooses among candidate views, or None where all views are encoded."""
    if settings.candidates == 1:
        return None
    return ViewSampler([group.count for group in preset_of(settings).groups], settings.seed)


def build_module(settings: Pretrain, total_steps: int) -> Pretraining:
    """The Lightning module of a run with decided settings."""
    method = build_method(settings)
    if settings.devices > 1 and settings.sync_batch_norm:
        synchronised(method)
    if settings.compile:
        compile_encoders(method)
    return Pretraining(method, build_arbiter(settings, method.dim), build_sampler(settings), settings, total_steps)


def check_statistics(method: nn.Module, settings: Pretrain, images: int) -> None:
    """Require that several images share batch statistics, where each view has its own: heads have nothing else to.

    Args:
        method: that is trained.
        settings: of the run, decided.
        images: of each device in a step.

    Raises:
        UotaError: there is but one.
    """
    sharing = images * settings.devices if settings.sync_batch_norm else images
    if sharing == 1 and getattr(method, "batch_norm", "joint") == "per_view":
        several = f" of {settings.devices} devices" if settings.devices > 1 else ""
        raise UotaError(
            f"batch_size {settings.batch_size}{several} leaves batch norm one image, and {settings.method} normalises "
            "each view by itself; raise batch_size to at least 2 images a device, or set the option batch_norm to joint"
        )


def compile_encoders(method: nn.Module) -> None:
    """Compile what methods call of their encoders, momentum copies too."""
    for module in method.modules():
        if isinstance(module, FeatureEncoder):
            module.with_early_map = torch.compile(module.with_early_map)  # type: ignore[method-assign]
