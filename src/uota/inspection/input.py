"""The input of an inspection: images of any source and the pipeline of their views."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from uota.console import printable
from uota.data import FolderOptions, Groups, MinimalSource, SequenceSource, Source, as_source
from uota.data.files.paths import are_paths, open_paths
from uota.data.open import folder_options, open_items
from uota.distributed import rank
from uota.errors import UotaError
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain, Reading
from uota.training.resolve import MEDIUM_WIDE, resolve_auto
from uota.views import PRESETS, ViewPipeline, ViewPreset, Views
from uota.views.pipeline import Sample
from uota.views.presets import GROUPS, preset_of

logger = logging.getLogger(__name__)

# Images of a folder are shrunk on reading, to at most `SIDES` times the side of the largest view and at most `MAX_SIDE`
# pixels; the cache is small enough for the whole process to fit in 2 GB.
SIDES, MAX_SIDE, MEGABYTES = 5, 640, 256
# Images that are scored against each other at once.
BATCH = 128
# Scored views come from an epoch that no arbiter was trained on.
SCORED_EPOCH = 2**31
# Fewest items that can be scored against each other.
MIN_ITEMS = 3
# Views of an image of 64 pixels and more, if the preset is left open: crops of all sizes, as for training from random
# weights, and more small ones, as an image is judged by its other views.
INSPECTED, LOCAL_VIEWS = "medium", 4
# Side of the largest view in the presets for folders of images without an accelerator.
LARGEST = PRESETS[MEDIUM_WIDE].sizes[0].size


@dataclass(frozen=True)
class ItemBatch:
    """Items that are scored against each other, all of the first half (0) or of the second (1)."""

    half: int
    samples: list[Sample]


@dataclass(frozen=True)
class InspectionInput:
    """The images to inspect and the pipeline that augments them.

    Attributes:
        source: images, or groups.
        pipeline: makes their views.
        settings: the run's, or those that a run on these images would have.
        run: run whose arbiter scores the views; None: an arbiter is chosen now.
        most: number of items to score, drawn at random if there are more; None: all.
    """

    source: Source
    pipeline: ViewPipeline
    settings: Pretrain
    run: Run | None
    most: int | None = None

    @property
    def preset(self) -> ViewPreset:
        """Preset of the views."""
        return self.pipeline.preset

    @property
    def groups(self) -> Groups | None:
        """The source, if its items are groups; otherwise None."""
        return self.source if isinstance(self.source, Groups) else None

    @cached_property
    def order(self) -> Int64[ndarray, " items"]:
        """Random order in which items are scored; items at even places are the first half, the others the second."""
        return np.random.default_rng(self.pipeline.seed).permutation(len(self.source))[: self.most]

    def place_of(self, item: int) -> int:
        """Return the place of an item in the random order."""
        return int(np.flatnonzero(self.order == item)[0])

    def batches(self, most: int | None = None, by_halves: bool = True) -> list[ItemBatch]:
        """Return batches of about `BATCH` items, in the random order.

        Args:
            most: number of items, from the start of the order; None: all.
            by_halves: whether the items of a batch are of one half; otherwise all batches are of the first.
        """
        chosen = self.order[:most]
        parts = [chosen[::2], chosen[1::2]] if by_halves else [chosen]
        return [
            ItemBatch(half, [(SCORED_EPOCH, int(index)) for index in batch])
            for half, part in enumerate(parts)
            for batch in np.array_split(part, max(1, round(len(part) / BATCH)))
        ]

    def readable_batches(self, batches: Iterable[ItemBatch]) -> Iterator[tuple[int, Views]]:
        """Make the views of batches, each with its half.

        If fewer than `MIN_ITEMS` images of a batch can be read, they join the next batch of their half; the rest of a
        half without a next one is left out, with a warning.
        """
        half, held = 0, list[Sample]()
        for batch in batches:
            if batch.half != half:
                _warn_not_compared(len(held))
                half, held = batch.half, []
            views = self.readable_views(held + batch.samples)
            if views is None:
                continue
            held = [(SCORED_EPOCH, index) for index in views.index.tolist()] if views.batch < MIN_ITEMS else []
            if not held:
                yield half, views
        _warn_not_compared(len(held))

    def readable_views(self, samples: list[Sample]) -> Views | None:
        """Make the views of those samples whose images can all be read, as damaged files are replaced by others."""
        views = self.pipeline(self.source, samples)
        lost = self.source.unreadable(views.parameters.image).any(0).tolist()
        if all(lost):
            return None
        if not any(lost):
            return views
        return self.readable_views([sample for sample, gone in zip(samples, lost, strict=True) if not gone])


def _warn_not_compared(items: int) -> None:
    if items:
        logger.warning(f"left out: {items} of the images, as too few others can be read to compare them with")


def open_input(
    data: Any,
    run: Run | None,
    views: str | ViewPreset,
    view_options: dict[str, Any],
    inject: float,
    seed: int,
    reading: Reading | None = None,
    most: int | None = None,
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
        most: number of images to score, drawn at random if there are more; None: all.

    Raises:
        UotaError: there is no such source, it has too few images, or the views do not fit it.
    """
    settings = run.settings() if run else Pretrain()
    if isinstance(views, ViewPreset):
        name = GROUPS if views.across_images else "auto"
    else:
        name = settings.views.preset if views == "auto" else views
    settings = settings.replace_flat(views=name, view_options=settings.views.options | view_options)
    images = settings.data.source if data is None else data
    source = _opened(images, views, settings.views.preset, folder_options(settings, reading))
    if most is not None and most < len(source) and rank() == 0:
        logger.info(
            f"inspecting a random sample: {most} of the {len(source)} {source.unit}s of {printable(source.name)}"
        )
    if len(source) < MIN_ITEMS:
        raise UotaError(
            f"{source.name} has {len(source)} {source.unit}s, too few to compare with each other; "
            f"give at least {MIN_ITEMS}"
        )
    if isinstance(views, ViewPreset):
        preset = views.with_options(view_options)
    else:
        settings = resolve_auto(settings, source, trained=run is not None)
        if run is None and views == "auto" and settings.views.preset == MEDIUM_WIDE:
            settings = settings.replace_flat(views=INSPECTED, local_views=settings.views.local_views or LOCAL_VIEWS)
        preset = preset_of(settings)
    return InspectionInput(source, ViewPipeline(preset, seed, inject, settings.views.inject_from), settings, run, most)


def _opened(data: Any, views: str | ViewPreset, name: str, options: FolderOptions) -> Source:
    if isinstance(data, MinimalSource):
        return as_source(data)
    preset = views if isinstance(views, ViewPreset) else PRESETS.get(name)
    largest = preset.sizes[0].size if preset else MAX_SIDE if torch.cuda.is_available() else LARGEST
    side = min(MAX_SIDE, SIDES * largest)
    options = replace(options, max_side=side, cache_megabytes=MEGABYTES)
    if isinstance(data, str | Path):
        return open_items(str(data), name, split="all", folder=options)
    if are_paths(data):
        return open_paths(data, options)
    return SequenceSource(data, side, options.pixel_range, options.image_megabytes)
