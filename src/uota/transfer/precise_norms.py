"""Precise batch norm: moments averaged over many batches of the trained network (detectron2's `TEST.PRECISE_BN`)."""

from collections.abc import Callable, Iterable, Sized
from itertools import chain, islice
from typing import Any

import pytorch_lightning as pl
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset

from uota.training.batches import GlobalBatches, Loading, resolve_workers
from uota.training.loader import Loader
from uota.transfer.module import Detection
from uota.views import identity_collate
from uota.views.pipeline import Sample

BATCHES = 200  # TEST.PRECISE_BN.NUM_ITER; fewer for a training of fewer steps


class PreciseNorms(pl.Callback):
    """Replaces the running moments of batch norms by measured ones, between training and evaluation.

    The batches are those with which training would have continued, mirrored and resized in the same way; weights do not
    change. The checkpoint keeps the running moments, which come from weights that changed from step to step.

    Args:
        images: training images with targets.
        settings: seed, batch size and number of workers.
    """

    def __init__(self, images: Dataset[Any], settings: Loading) -> None:
        self.images, self.settings = images, settings

    def on_test_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Measure the moments of all norms that training updates."""
        assert isinstance(module, Detection)
        first, count = module.total_steps, min(BATCHES, module.total_steps)
        batches = enumerate(self._batches(trainer, first, count), first)

        def run(batch: tuple[int, Any]) -> None:
            module.begin_step(batch[0])
            module.losses(module.transfer_batch_to_device(batch[1], module.device, 0))

        module.begin_step(first)
        measure_moments([each for each in module.modules() if isinstance(each, _BatchNorm)], run, batches)
        module.eval()

    def _batches(self, trainer: pl.Trainer, first: int, count: int) -> Iterable[Any]:
        assert isinstance(self.images, Sized)
        s, images = self.settings, len(self.images)
        samples = batches_from(first, count, images, s.batch_size, s.seed, trainer.global_rank, trainer.world_size)
        workers = resolve_workers(s.workers, False, trainer.world_size)
        return Loader(self.images, batch_sampler=samples, collate_fn=identity_collate, num_workers=workers)


def measure_moments(norms: list[_BatchNorm], run: Callable[[Any], object], batches: Iterable[Any]) -> None:
    """Set the moments of norms in training mode to the mean and the unbiased variance, averaged over batches.

    Source: facebookresearch/fvcore fvcore/nn/precise_bn.py.

    Args:
        norms: batch norms of a network; those in evaluation mode do not change.
        run: function that passes a batch through the network.
        batches: batches to average over, at least one.
    """
    norms = [norm for norm in norms if norm.training and norm.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # makes torch keep a cumulative average
    for batch in batches:
        run(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def batches_from(
    first: int, count: int, images: int, batch_size: int, seed: int, rank: int, ranks: int
) -> list[list[Sample]]:
    """Return this rank's batches of `count` steps from step `first` on, across epochs."""

    def epoch(step: int) -> Iterable[list[Sample]]:
        return GlobalBatches(images, batch_size, seed, rank, ranks, lambda: step)

    length = len(GlobalBatches(images, batch_size, seed, rank, ranks, lambda: first))
    ends = range(first - first % length + length, first + count, length)
    return list(islice(chain.from_iterable(epoch(step) for step in (first, *ends)), count))
