"""What is inspected: images from anywhere, and the views that are made of them."""

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
from uota.misfiled.files import BATCH, ENOUGH, halves_of, some_groups
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain, Reading
from uota.training.batches import GlobalBatches
from uota.training.resolve import resolve_auto
from uota.views import PRESETS, ViewPipeline, ViewPreset, Views
from uota.views.pipeline import Sample
from uota.views.presets import GROUPS, preset_of

# Images of a folder are shrunk on reading, so that no side is longer than so many sides of the largest view, and not
# longer than `LONGEST`; they are kept in so much memory, so that all fits in 2 GB; and so many are drawn at random.
SIDES, LONGEST, MEGABYTES, SAMPLE = 5, 640, 256, 2048
# Views that are judged are of an epoch that no arbiter learned from.
JUDGED_EPOCH = 2**31
LEAST = 3
# The largest view of presets for images of folders without an accelerator.
SMALL = PRESETS["small"].sizes[0].size


@dataclass(frozen=True)
class InspectionInput:
    """What is inspected.

    Attributes:
        source: the images, or the groups.
        pipeline: makes their views.
        settings: of the run, or as a run on these images would have them.
        run: whose arbiter judges; None: one that learns now.
        total: how many images there are, of which those of the source may be a sample.
    """

    source: Source
    pipeline: ViewPipeline
    settings: Pretrain
    run: Run | None
    total: int

    @property
    def preset(self) -> ViewPreset:
        """Of the views."""
        return self.pipeline.preset

    @property
    def groups(self) -> Groups | None:
        """The source, if its items are groups."""
        return self.source if isinstance(self.source, Groups) else None

    @cached_property
    def halves(self) -> tuple[list[int], list[int]] | None:
        """Of groups, those that an arbiter learns on when there is no run, and those that it judges: one that meets a
        misfiled file again and again learns that it belongs there. None: it learns on what it judges."""
        if self.run is not None or self.groups is None or len(self.groups) < ENOUGH:
            return None
        return halves_of(self.groups, self.pipeline.seed)

    @property
    def learned_on(self) -> Source:
        """What an arbiter learns on."""
        return some_groups(self.groups, self.halves[0]) if self.groups and self.halves else self.source

    def batches(self, images: int, seed: int) -> Iterator[list[Sample]]:
        """Images to judge, drawn without replacement, in batches of about equal size; the seed says which."""
        judged = np.arange(len(self.source)) if self.halves is None else np.array(self.halves[1])
        order = np.random.default_rng(seed).permutation(judged)[:images]
        for part in np.array_split(order, max(1, round(len(order) / BATCH))):
            yield [(JUDGED_EPOCH, int(index)) for index in part]


class Stream:
    """Batches of views without end."""

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
    """Open the images, and decide how views are made of them.

    Args:
        data: a name or folder, a `Source`, or pictures as `SequenceSource` takes them; None: the run's, or demo-scenes.
        run: None: there is none.
        views: a preset or its name; auto: the run's, or by the data.
        view_options: changes to the preset, beside those of the run.
        inject: share of views taken from other images.
        seed: of the views.
        reading: how images in files are read; None: as the run did.

    Raises:
        UotaError: there is no such source, or it has too few images, or the views do not fit.
    """
    settings = run.settings() if run else Pretrain()
    if isinstance(views, ViewPreset):
        name = GROUPS if views.across_images else "auto"
    else:
        name = settings.views if views == "auto" else views
    settings = replace(settings, views=name, view_options=settings.view_options | view_options)
    source = _opened(settings.data if data is None else data, views, settings.views, folder_options(settings, reading))
    total = len(source)
    source = source.sampled(SAMPLE, seed)
    if len(source) < total:
        print(f"{len(source)} of the {total} images of {printable(source.name)} are looked at, drawn at random")
    if len(source) < LEAST:
        raise UotaError(
            f"{source.name} has {len(source)} {source.unit}s; at least {LEAST} are needed to compare with each other"
        )
    if isinstance(views, ViewPreset):
        preset = views.with_options(view_options)
    else:
        settings = resolve_auto(settings, source, trained=run is not None)
        preset = preset_of(settings)
    return InspectionInput(source, ViewPipeline(preset, seed, inject, settings.inject_from), settings, run, total)


def _opened(data: Any, views: str | ViewPreset, name: str, options: FolderOptions) -> Source:
    if isinstance(data, MinimalSource):
        return as_source(data)
    preset = views if isinstance(views, ViewPreset) else PRESETS.get(name)
    largest = preset.sizes[0].size if preset else LONGEST if torch.cuda.is_available() else SMALL
    side = min(LONGEST, SIDES * largest)
    options = replace(options, max_side=side, cache_megabytes=MEGABYTES)
    if isinstance(data, str | Path):
        return open_items(str(data), name, split=None, folder=options)
    if are_paths(data):
        return open_paths(data, options)
    return SequenceSource(data, side, options.pixel_range, options.image_megabytes)


def read_ahead(source: Source) -> None:
    """Read the images of a folder that keeps them, so that an arbiter learns from then on and does not wait."""
    if source.caches:
        for index in track(range(len(source)), "reading images", transient=True, console=PROGRESS):
            source.images([index])
