"""The progress bar of a training."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
    RichProgressBarTheme,
)
from rich.progress import ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from uota.training.monitor import Monitor

# Columns of a terminal that the bar itself takes; the rest is for text.
WIDTH = 10
# The time left is estimated from so many seconds, by default 30, which a slow step can exceed.
SECONDS = 600.0


class RunBar(RichProgressBar):
    """Lightning's progress bar with all steps of a training in one, the time elapsed and the time left."""

    def __init__(self) -> None:
        super().__init__(theme=RichProgressBarTheme(metrics_format=".3g"))

    def configure_columns(self, trainer: pl.Trainer) -> list[ProgressColumn]:
        """Return the columns before the metrics."""
        theme = self.theme
        return [
            TextColumn("{task.description}"),
            CustomBarColumn(WIDTH, complete_style=theme.progress_bar, finished_style=theme.progress_bar_finished),
            BatchesProcessedColumn(style=theme.batch_progress),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left "),
        ]

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return the metrics to show, without the number of the log."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        # Through `module.log`, Lightning would read them from the device in every step.
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for monitor in (callback for callback in callbacks if isinstance(callback, Monitor)):
            metrics |= monitor.in_bar
        return metrics

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the bar with the first epoch; the others continue it."""
        if self.progress is not None and self.train_progress_bar_id is None:
            self._initialize_train_progress_bar_id()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the number of steps done, and the metrics."""
        if self.progress is not None and self.train_progress_bar_id is None:  # resumed within an epoch
            self._initialize_train_progress_bar_id()
        self._update(self.train_progress_bar_id, trainer.global_step)
        self._update_metrics(trainer, pl_module)

    def _initialize_train_progress_bar_id(self) -> None:
        assert self.progress is not None
        self.progress.speed_estimate_period = SECONDS
        total, done = self.trainer.estimated_stepping_batches, self.trainer.global_step
        self.train_progress_bar_id = self.progress.add_task("step", total=total, completed=done)
