"""A warning during training if many of the images cannot be read."""

from typing import Any

import pytorch_lightning as pl

from uota.data import Source, warn_many_unreadable

# Steps between two checks, and the number of images that must have been tried before their share means anything.
EVERY, MIN_TRIED = 10, 20


class DamageWatch(pl.Callback):
    """Warns once if many images cannot be read.

    Args:
        source: source of the images.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.warned = False

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if trainer.global_step % EVERY == 0:
            self._check(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._check(trainer)

    def _check(self, trainer: pl.Trainer) -> None:
        if self.warned or not trainer.is_global_zero:
            return
        unreadable, tried = self.source.unreadable_counts()
        self.warned = tried >= MIN_TRIED and warn_many_unreadable(self.source, unreadable, tried)
