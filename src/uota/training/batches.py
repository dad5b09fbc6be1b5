"""The images of each step: a pure function of the seed and the step, independent of the number of ranks."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from uota.errors import UotaError
from uota.settings.pretrain import ViewsOn
from uota.training.device_views import views_on
from uota.training.loader import Loader
from uota.views import CropDataset, ViewDataset, identity_collate
from uota.views.pipeline import Sample

# Number of large files that are read at a time: enough to mix their images, and few enough for the disk cache.
PARTS_AT_ONCE = 16


class GlobalBatches:
    """The batches of one rank: each epoch is a permutation cut into global batches, of which a rank takes its slice.

    An iteration starts at the step given by `current_step` and ends with that step's epoch, so a resumed run continues
    within the epoch in which it stopped. Images that do not fill the last global batch are left out of the epoch.

    Args:
        images: number of images.
        batch_size: size of the global batch; at most the number of images is used.
        seed: seed of the permutations.
        rank, ranks: rank of this process, and number of processes.
        current_step: returns the number of steps since the start of training.
        parts: numbers of images in consecutive files, see `shuffled`; None: images are independent files.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        seed: int,
        rank: int,
        ranks: int,
        current_step: Callable[[], int],
        parts: Int64[np.ndarray, " parts"] | None = None,
    ) -> None:
        if images < 2 * ranks:
            raise UotaError(f"{images} images are too few for {ranks} processes; give at least 2 images each")
        self.images = images
        self.local_size = min(batch_size, images) // ranks
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.current_step = current_step
        self.parts = np.array([images]) if parts is None else parts

    def __len__(self) -> int:
        return self.images // (self.local_size * self.ranks)

    def __iter__(self) -> Iterator[list[Sample]]:
        epoch, first = divmod(self.current_step(), len(self))
        order = shuffled(self.parts, np.random.default_rng((self.seed, epoch)))
        for batch in range(first, len(self)):
            start = (batch * self.ranks + self.rank) * self.local_size
            yield [(epoch, int(index)) for index in order[start : start + self.local_size]]


def shuffled(parts: Int64[np.ndarray, " parts"], random: np.random.Generator) -> Int64[np.ndarray, " images"]:
    """Return all images in random order; of many parts, those of `PARTS_AT_ONCE` random parts are mixed at a time."""
    if len(parts) <= PARTS_AT_ONCE:
        return random.permutation(parts.sum())
    starts = parts.cumsum() - parts
    order = random.permutation(len(parts))
    chunks = [order[first : first + PARTS_AT_ONCE] for first in range(0, len(parts), PARTS_AT_ONCE)]
    of_chunks = [np.concatenate([starts[part] + np.arange(parts[part]) for part in chunk]) for chunk in chunks]
    return np.concatenate([random.permutation(images) for images in of_chunks])


@runtime_checkable
class Loading(Protocol):
    """The settings that loading batches needs."""

    batch_size: int
    seed: int
    workers: int | None


class ViewsOfRank(pl.LightningDataModule):
    """A data module of the training batches of this rank.

    Args:
        settings: settings of the batches.
        dataset: sized dataset that makes a batch of a list of (epoch, index): a `ViewDataset`, or images with targets.
        in_memory: whether its images are in memory.
        parts: numbers of images in larger files, as `GlobalBatches` takes them.
        views_on: where a `ViewDataset`'s views are made of their crops; auto: on the device, unless that is a CPU.
    """

    def __init__(
        self,
        settings: Loading,
        dataset: Dataset[Any],
        in_memory: bool,
        parts: Int64[np.ndarray, " parts"] | None = None,
        views_on: ViewsOn = "cpu",
    ) -> None:
        super().__init__()
        self.settings = settings
        self.dataset = dataset
        self.in_memory = in_memory
        self.parts = parts
        self.views_on = views_on

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of this rank's batches, starting at the trainer's step."""
        assert self.trainer is not None
        trainer, device = self.trainer, self.trainer.strategy.root_device
        batches = GlobalBatches(
            len(self.dataset),  # type: ignore[arg-type]
            self.settings.batch_size,
            self.settings.seed,
            trainer.global_rank,
            trainer.world_size,
            lambda: trainer.global_step,
            self.parts,
        )
        workers = resolve_workers(self.settings.workers, self.in_memory, trainer.world_size)
        return Loader(
            self._dataset_for(device),
            batch_sampler=batches,
            collate_fn=identity_collate,  # the dataset makes whole batches
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            prepare=partial(views_on, device) if isinstance(self.dataset, ViewDataset) else iter,
        )

    def _dataset_for(self, device: torch.device) -> Dataset[Any]:
        """Return the data set, or one of crops that the device finishes."""
        wanted = "cpu" if self.views_on == "auto" and device.type == "cpu" else self.views_on
        if isinstance(self.dataset, ViewDataset) and wanted != "cpu":
            return CropDataset(self.dataset.source, self.dataset.pipeline)
        return self.dataset


def resolve_workers(wanted: int | None, in_memory: bool, ranks: int = 1) -> int:
    """Return the number of loading processes per rank: the wanted one, or else one chosen by the number of cores."""
    if wanted is not None:
        return wanted
    # Transforming images that are in memory costs less than sending them between processes.
    return 0 if in_memory else max(1, min(8, (os.cpu_count() or 1) // ranks))


def test_loader(
    images: Dataset[Any], batch_size: int, workers: int | None, in_memory: bool, trainer: pl.Trainer
) -> DataLoader[Any]:
    """Return a loader of this rank's strided share of the test images.

    Args:
        images: sized dataset that makes a batch of a list of indices.
        batch_size: batch size of this rank.
        workers: number of loading processes, see `resolve_workers`.
        in_memory: whether the images are in memory.
        trainer: trainer, whose rank and world size are used.
    """
    return Loader(
        images,
        batch_size=batch_size,
        sampler=range(trainer.global_rank, len(images), trainer.world_size),  # type: ignore[arg-type]
        num_workers=resolve_workers(workers, in_memory, trainer.world_size),
        collate_fn=identity_collate,
    )
