"""A warning while a run trains, when more of its images cannot be read than a few damaged files explain."""

from typing import Any

import pytorch_lightning as pl

from uota.data import Source, warn_many_unreadable

# Steps between two looks, and images that must have been tried before a share of them means anything.
EVERY, ENOUGH = 10, 20


class DamageWatch(pl.Callback):
    """Warns once, as soon as it is known, that many images cannot be read.

    Args:
        source: of the images.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.said = False

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if trainer.global_step % EVERY == 0:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        if self.said or not trainer.is_global_zero:
            return
        unreadable, tried = self.source.unreadable_counts()
        self.said = tried >= ENOUGH and warn_many_unreadable(self.source, unreadable, tried)
