"""Which images each step sees: a pure function of the seed and the step, whatever the number of ranks."""

import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from uota.errors import UotaError
from uota.training.loader import Loader
from uota.views import identity_collate
from uota.views.pipeline import Sample

# So many larger files are read from at a time, however many there are: what is enough to mix, and a disk's cache holds.
PARTS_AT_ONCE = 16


class GlobalBatches:
    """Batches of one rank. Each epoch is a permutation, cut into global batches; a rank takes its slice of each.

    An iteration starts at the step that `current_step` tells and ends with that step's epoch: so a resumed run goes on
    within an epoch where it stopped. Images that do not fill a last global batch wait for another epoch.

    Args:
        images: number of images.
        batch_size: of the global batch; with fewer images than that, all images are the batch.
        seed: of the permutations.
        rank, ranks: this process, and how many there are.
        current_step: steps done since the start of training.
        parts: numbers of images that lie together on the disk, see `shuffled`; None: it does not matter where they lie.
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
            raise UotaError(f"{images} images cannot be shared by {ranks} processes; at least 2 images each are needed")
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
    """All images in random order; of more than `PARTS_AT_ONCE` parts, the images of so many random parts at a time."""
    if len(parts) <= PARTS_AT_ONCE:
        return random.permutation(parts.sum())
    starts = parts.cumsum() - parts
    order = random.permutation(len(parts))
    hands = [order[first : first + PARTS_AT_ONCE] for first in range(0, len(parts), PARTS_AT_ONCE)]
    of_hands = [np.concatenate([starts[part] + np.arange(parts[part]) for part in hand]) for hand in hands]
    return np.concatenate([random.permutation(images) for images in of_hands])


@runtime_checkable
class Loading(Protocol):
    """What loading batches asks of settings."""

    batch_size: int
    seed: int
    workers: int | None


class ViewsOfRank(pl.LightningDataModule):
    """The views of this rank, made once Lightning has said which rank it is.

    Args:
        settings: of the batches.
        dataset: makes a batch of a list of (epoch, index), and has a length: a `ViewDataset`, or images with targets.
        in_memory: its images are in memory already.
        parts: numbers of images in larger files, as `GlobalBatches` takes them.
    """

    def __init__(
        self,
        settings: Loading,
        dataset: Dataset[Any],
        in_memory: bool,
        parts: Int64[np.ndarray, " parts"] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.dataset = dataset
        self.in_memory = in_memory
        self.parts = parts

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank, from the trainer's step on."""
        assert self.trainer is not None
        trainer = self.trainer
        batches = GlobalBatches(
            len(self.dataset),  # type: ignore[arg-type]
            self.settings.batch_size,
            self.settings.seed,
            trainer.global_rank,
            trainer.world_size,
            lambda: trainer.global_step,
            self.parts,
        )
        workers = useful_workers(self.settings.workers, self.in_memory, trainer.world_size)
        return Loader(
            self.dataset,
            batch_sampler=batches,
            collate_fn=identity_collate,  # the dataset makes whole batches
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def useful_workers(wanted: int | None, in_memory: bool, ranks: int = 1) -> int:
    """How many processes load images for each of `ranks`: those wanted, else as many as are useful."""
    if wanted is not None:
        return wanted
    # Images that are in memory already cost less to transform than to send between processes.
    return 0 if in_memory else max(1, min(8, (os.cpu_count() or 1) // ranks))


def test_loader(
    images: Dataset[Any], batch_size: int, workers: int | None, in_memory: bool, trainer: pl.Trainer
) -> DataLoader[Any]:
    """Every so many of the images, each once: those that this rank evaluates.

    Args:
        images: make a batch of a list of indices, and have a length.
        batch_size: of this rank.
        workers: as `Loading` has them.
        in_memory: the images are in memory already.
        trainer: knows the rank.
    """
    return Loader(
        images,
        batch_size=batch_size,
        sampler=range(trainer.global_rank, len(images), trainer.world_size),  # type: ignore[arg-type]
        num_workers=useful_workers(workers, in_memory, trainer.world_size),
        collate_fn=identity_collate,
    )
