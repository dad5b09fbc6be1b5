"""Metrics that a run logs every epoch, the lines that it prints, and its summary."""

import time
from math import ceil
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from rich.console import Console

from uota.arbitration.result import Number
from uota.distributed import mean_over_ranks
from uota.training.divergence import READ_EVERY
from uota.training.measures import EpochDiagnosis, Means, measures_of, read_measures
from uota.training.module import StepOutput
from uota.training.summary import Session, Summary
from uota.views import Views

# Number of lines that a run prints, at equal distances in steps.
LINES = 20
# After so many seconds without a line, the end of an epoch has one too.
LONG = 600.0
# What a line shows, in this order, and what that means.
MEANINGS = {
    "loss": "weighted mean of the method's terms",
    "images_per_second": "over all devices",
    "ess": "effective sample size of the weights, 1 where all are equal",
    "candidates_outlier_rate": "estimated share of candidate views that do not show their image",
    "outlier_rate": "estimated share of views that do not show their image",
    "true_outlier_rate": "its true value",
    "auroc": "how well the weights separate those, 1 at best",
    "rankme": "effective rank of the embeddings",
    "accuracy": "kNN top-1 among the views of an epoch, %",
}
# What the progress bar shows of them.
IN_BAR = ("loss", "ess", "outlier_rate")
# What is shown as a percentage.
SHARES = ("candidates_outlier_rate", "outlier_rate", "true_outlier_rate")


class Unread(NamedTuple):
    """A step whose measures are still on the device: its number, epoch and images over all ranks."""

    number: int
    epoch: int
    images: int
    measures: dict[str, Number]


class Monitor(pl.Callback):
    """Logs metrics at the end of every epoch, and prints a line after every twentieth of a run.

    Logged are the loss, images per second, the effective sample size, the estimated outlier rate, the mean weight of
    each type of view and RankMe; with labels also accuracy, and with ground truth the AUROC of the weights. A line has
    the means since the one before it, and the last three as of the last whole epoch.

    Args:
        names: of the types of views, one per size.
        total_steps: number of steps of the whole run.
        quiet: print no lines.
    """

    def __init__(self, names: list[str], total_steps: int, quiet: bool = False) -> None:
        self.names, self.total_steps = names, total_steps
        self.every = ceil(total_steps / LINES)
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self.explained: set[str] = set()
        self.first_loss: float | None = None
        self.last: dict[str, float] = {}
        self.diagnosed: dict[str, float] = {}
        self.session, self.since_line, self.printed = Session(), Means(), time.perf_counter()
        self.epoch, self.diagnosis = Means(), EpochDiagnosis()
        self.in_bar: dict[str, float] = {}
        self._unread: list[Unread] = []

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know of its beginning."""
        return {"first_loss": self.first_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of an interrupted run."""
        first = state_dict["first_loss"]
        self.first_loss = None if first is None else float(first)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.session, self.since_line, self.printed = Session(), Means(), time.perf_counter()
        self._begin_epoch()  # a run that is resumed within an epoch does not start that epoch again

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._begin_epoch()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Views, batch_index: int
    ) -> None:
        """Add a step to the means, read them every `READ_EVERY` steps, and print a line if it is due."""
        step: StepOutput = outputs
        images = step["weights"].shape[1] * trainer.world_size
        self._unread.append(
            Unread(trainer.global_step - 1, trainer.current_epoch, images, measures_of(step, self.names))
        )
        self.diagnosis.add(step)
        self.session.add(images)
        is_due = trainer.global_step % self.every == 0 or trainer.global_step == self.total_steps
        if is_due or trainer.global_step % READ_EVERY == 0:
            self._read(trainer, module)
        if is_due:
            self._end_line(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log the epoch."""
        self._read(trainer, module)
        if not self.epoch.images:
            return
        self.diagnosed = self.diagnosis.values()
        values = self.epoch.over_ranks(module.device) | self.diagnosed
        module.log_dict(values, sync_dist=True)
        if time.perf_counter() - self.printed > LONG:
            self._print(trainer, values)

    def summary(self, steps: int) -> Summary:
        """Summarise the run after so many steps."""
        return Summary(steps, self.session, self.first_loss, self.last)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Log the latest steps of a training that was stopped."""
        if trainer.world_size == 1:  # other ranks may not come here
            self._read(trainer, module)

    def _read(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Read what the latest steps have left on the device: add it to the means, and log each step's loss."""
        steps, self._unread = self._unread, []
        if not steps:
            return
        read = read_measures([each.measures for each in steps])
        for step, measures in zip(steps, read, strict=True):
            for means in (self.epoch, self.since_line):
                means.add(measures, step.images)
        (losses,) = mean_over_ranks(torch.tensor([each["loss"] for each in read], device=module.device))
        for step, loss in zip(steps, losses.tolist(), strict=True):
            for logger in trainer.loggers:
                logger.log_metrics({"step_loss": loss, "epoch": step.epoch}, step.number)
        for logger in trainer.loggers:
            logger.save()
        self.diagnosis.read()
        shown = self.since_line.on_this_rank()
        self.in_bar = {name: shown[name] for name in IN_BAR if name in shown}
        self.in_bar["img/s"] = self.session.images_per_second

    def _begin_epoch(self) -> None:
        self.epoch, self.diagnosis = Means(), EpochDiagnosis()

    def _end_line(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Print the means since the line before, and begin the next."""
        self.last = self.since_line.over_ranks(module.device)
        if self.first_loss is None and trainer.global_step <= self.every:
            self.first_loss = self.last["loss"]
        self._print(trainer, self.last | (self.diagnosed or self.diagnosis.values()))
        self.since_line = Means()

    def _print(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        self.printed = time.perf_counter()
        if not trainer.is_global_zero:
            return
        names = [name for name in MEANINGS if name in values]
        if new := [name for name in names if name not in self.explained]:
            self.explained |= set(new)
            self.console.print("; ".join(f"{name}: {MEANINGS[name]}" for name in new))
        shown = "  ".join(f"{name} {_format(name, values[name])}" for name in names)
        self.console.print(f"step {trainer.global_step}/{self.total_steps}  {shown}")


def _format(name: str, value: float) -> str:
    return f"{value:.1%}" if name in SHARES else f"{value:.3g}"
