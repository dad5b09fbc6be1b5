"""What is inspected: images from anywhere, and the views that are made of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uota.config import Pretrain
from uota.data import FolderOptions, Groups, Source
from uota.data.sequence import Sequenced
from uota.errors import UotaError
from uota.misfiled import BATCH
from uota.runs import Run
from uota.training.batches import GlobalBatches
from uota.training.build import GROUPS, decide, open_items, preset_of
from uota.views import ViewPipeline, ViewPreset, Views
from uota.views.pipeline import Sample

# Photographs are looked at with no side longer than this, and few of them kept, so that all fits in 2 GB.
READING = FolderOptions(max_side=640, cache_megabytes=256)
# Views that are judged are of an epoch that no arbiter learned from.
JUDGED_EPOCH = 2**31
LEAST = 3


@dataclass(frozen=True)
class Subject:
    """What is inspected.

    Attributes:
        source: the images, or the groups.
        pipeline: makes their views.
        settings: of the run, or as a run on these images would have them.
        run: whose arbiter judges; None: one that learns now.
    """

    source: Source
    pipeline: ViewPipeline
    settings: Pretrain
    run: Run | None

    @property
    def preset(self) -> ViewPreset:
        """Of the views."""
        return self.pipeline.preset

    @property
    def groups(self) -> Groups | None:
        """The source, if its items are groups."""
        return self.source if isinstance(self.source, Groups) else None

    def batches(self, images: int, seed: int) -> Iterator[list[Sample]]:
        """Images to judge, drawn without replacement, in batches of about equal size; the seed says which."""
        order = np.random.default_rng(seed).permutation(len(self.source))[:images]
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


def open_subject(
    data: Any, run: Run | None, views: str | ViewPreset, view_options: dict[str, Any], inject: float, seed: int
) -> Subject:
    """Open the images, and decide how views are made of them.

    Args:
        data: a name or folder, a `Source`, or pictures as `Sequenced` takes them; None: the run's, or demo-scenes.
        run: None: there is none.
        views: a preset or its name; auto: the run's, or by the data.
        view_options: changes to the preset, beside those of the run.
        inject: share of views taken from other images.
        seed: of the views.

    Raises:
        UotaError: there is no such source, or it has too few images, or the views do not fit.
    """
    settings = run.settings() if run else Pretrain()
    if isinstance(views, ViewPreset):
        name = GROUPS if views.across_images else "auto"
    else:
        name = settings.views if views == "auto" else views
    settings = replace(settings, views=name, view_options=settings.view_options | view_options)
    source = _opened(settings.data if data is None else data, settings.views)
    if len(source) < LEAST:
        what = "groups" if isinstance(source, Groups) else "images"
        raise UotaError(
            f"{source.name} has {len(source)} {what}; at least {LEAST} are needed to compare with each other"
        )
    if isinstance(views, ViewPreset):
        preset = views.with_options(view_options)
    else:
        settings = decide(settings, source)
        preset = preset_of(settings)
    return Subject(source, ViewPipeline(preset, seed, inject, settings.inject_from), settings, run)


def _opened(data: Any, views: str) -> Source:
    if isinstance(data, str | Path):
        return open_items(str(data), views, split=None, folder=READING)
    return data if isinstance(data, Source) else Sequenced(data, READING.max_side)
