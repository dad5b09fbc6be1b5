"""The input of an inspection: images of any source and the pipeline of their views."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from uota.console import PROGRESS, printable
from uota.data import FolderOptions, Groups, MinimalSource, SequenceSource, Source, as_source
from uota.data.files.paths import are_paths, open_paths
from uota.data.open import folder_options, open_items
from uota.errors import UotaError
from uota.misfiled.files import BATCH, MIN_GROUPS, select_groups, split_in_halves
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain, Reading
from uota.training.batches import GlobalBatches
from uota.training.resolve import resolve_auto
from uota.views import PRESETS, ViewPipeline, ViewPreset, Views
from uota.views.pipeline import Sample
from uota.views.presets import GROUPS, preset_of

logger = logging.getLogger(__name__)

# Images of a folder are shrunk on reading, to at most `SIDES` times the side of the largest view and at most `MAX_SIDE`
# pixels; a random sample of them is inspected, and the cache is small enough for the whole process to fit in 2 GB.
SIDES, MAX_SIDE, MEGABYTES, SAMPLE = 5, 640, 256, 2048
# Scored views come from an epoch that no arbiter was trained on.
SCORED_EPOCH = 2**31
MIN_ITEMS = 3
# Side of the largest view in the presets for folders of images without an accelerator.
SMALL = PRESETS["small"].sizes[0].size


@dataclass(frozen=True)
class InspectionInput:
    """The images to inspect and the pipeline that augments them.

    Attributes:
        source: images, or groups.
        pipeline: makes their views.
        settings: the run's, or those that a run on these images would have.
        run: run whose arbiter scores the views; None: an arbiter is trained now.
        total: number of images before a sample was drawn.
    """

    source: Source
    pipeline: ViewPipeline
    settings: Pretrain
    run: Run | None
    total: int

    @property
    def preset(self) -> ViewPreset:
        """Preset of the views."""
        return self.pipeline.preset

    @property
    def groups(self) -> Groups | None:
        """The source, if its items are groups; otherwise None."""
        return self.source if isinstance(self.source, Groups) else None

    @cached_property
    def halves(self) -> tuple[list[int], list[int]] | None:
        """Indices of the groups to train on and of those to score, if there are groups and no run; otherwise None.

        An arbiter must not score the groups it was trained on: it has seen each misfiled file often enough to learn
        that the file belongs to its folder.
        """
        if self.run is not None or self.groups is None or len(self.groups) < MIN_GROUPS:
            return None
        return split_in_halves(self.groups, self.pipeline.seed)

    @property
    def training_source(self) -> Source:
        """The images or groups that an arbiter is trained on."""
        return select_groups(self.groups, self.halves[0]) if self.groups and self.halves else self.source

    def batches(self, images: int, seed: int) -> Iterator[list[Sample]]:
        """Yield batches of about equal size of the images to score, drawn without replacement by the seed."""
        scored = np.arange(len(self.source)) if self.halves is None else np.array(self.halves[1])
        order = np.random.default_rng(seed).permutation(scored)[:images]
        for part in np.array_split(order, max(1, round(len(order) / BATCH))):
            yield [(SCORED_EPOCH, int(index)) for index in part]


class Stream:
    """An endless stream of batches of views."""

    def __init__(self, source: Source, pipeline: ViewPipeline) -> None:
        self.source = source
        self.pipeline = pipeline
        self.step = 0
        self.batches = GlobalBatches(len(source), BATCH, pipeline.seed, 0, 1, lambda: self.step)

    def next(self) -> Views:
        samples = next(iter(self.batches))
        self.step += 1
        return self.pipeline(self.source, samples)


def open_input(
    data: Any,
    run: Run | None,
    views: str | ViewPreset,
    view_options: dict[str, Any],
    inject: float,
    seed: int,
    reading: Reading | None = None,
) -> InspectionInput:
    """Open the images and choose the preset of their views.

    Args:
        data: a data set's name or a folder, a `Source`, or pictures as `SequenceSource` takes them; None: the run's,
            or demo-scenes.
        run: run to inspect, if any.
        views: a preset or its name; auto: the run's, or chosen by the data.
        view_options: changes to the preset, in addition to the run's.
        inject: share of views taken from other images.
        seed: seed of the views.
        reading: how image files are read; None: as in the run.

    Raises:
        UotaError: there is no such source, it has too few images, or the views do not fit it.
    """
    settings = run.settings() if run else Pretrain.from_flat(init="random")  # nothing is trained from weights
    if isinstance(views, ViewPreset):
        name = GROUPS if views.across_images else "auto"
    else:
        name = settings.views.preset if views == "auto" else views
    settings = settings.replace_flat(views=name, view_options=settings.views.options | view_options)
    images = settings.data.source if data is None else data
    source = _opened(images, views, settings.views.preset, folder_options(settings, reading))
    total = len(source)
    source = source.sampled(SAMPLE, seed)
    if len(source) < total:
        logger.info(f"inspecting a random sample: {len(source)} of the {total} images of {printable(source.name)}")
    if len(source) < MIN_ITEMS:
        raise UotaError(
            f"{source.name} has {len(source)} {source.unit}s, too few to compare with each other; "
            f"give at least {MIN_ITEMS}"
        )
    if isinstance(views, ViewPreset):
        preset = views.with_options(view_options)
    else:
        settings = resolve_auto(settings, source, trained=run is not None)
        preset = preset_of(settings)
    return InspectionInput(source, ViewPipeline(preset, seed, inject, settings.views.inject_from), settings, run, total)


def _opened(data: Any, views: str | ViewPreset, name: str, options: FolderOptions) -> Source:
    if isinstance(data, MinimalSource):
        return as_source(data)
    preset = views if isinstance(views, ViewPreset) else PRESETS.get(name)
    largest = preset.sizes[0].size if preset else MAX_SIDE if torch.cuda.is_available() else SMALL
    side = min(MAX_SIDE, SIDES * largest)
    options = replace(options, max_side=side, cache_megabytes=MEGABYTES)
    if isinstance(data, str | Path):
        return open_items(str(data), name, split=None, folder=options)
    if are_paths(data):
        return open_paths(data, options)
    return SequenceSource(data, side, options.pixel_range, options.image_megabytes)


def read_ahead(source: Source) -> None:
    """Fill the cache of a folder of images, so that training time is not spent on reading."""
    if source.caches:
        for index in track(range(len(source)), "reading images", transient=True, console=PROGRESS):
            source.images([index])
