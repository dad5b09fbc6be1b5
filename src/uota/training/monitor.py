"""What a run writes down every epoch, and what a person sees while it goes."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAUROC

from uota.training.module import rank_me
from uota.training.neighbours import Neighbours
from uota.views import Views


class Monitor(pl.Callback):
    """Logs loss, images per second, ESS, estimated outlier rate, mean weight by view type, RankMe, accuracy
    where there are labels, and where the truth is known the AUROC of the weights; one line an epoch for a person."""

    def __init__(self, names: list[str], quiet: bool = False) -> None:
        self.names = names
        self.console = Console(quiet=quiet, highlight=False)
        self.images = 0
        self._begin_epoch()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # A run that is resumed within an epoch does not start that epoch again.
        self._begin_epoch()

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._begin_epoch()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Views, batch_index: int
    ) -> None:
        """Add a step to the epoch's means, and show where they stand."""
        weights, verdict, views = outputs["weights"], outputs["verdict"], outputs["views"]
        self.images += weights.shape[1] * trainer.world_size
        self._mean("loss", outputs["loss"])
        first = 0
        for name, group in zip(self.names, views.by_size, strict=True):
            self._mean(f"weight_{name}", weights[first : first + len(group)].mean())
            first += len(group)
        if verdict is not None:
            self._mean("ess", verdict.ess)
            if verdict.outlier_rate is not None:
                self._mean("outlier_rate", verdict.outlier_rate)
        if outputs["candidates_outlier_rate"] is not None:
            self._mean("candidates_outlier_rate", outputs["candidates_outlier_rate"])
        if views.wrong is not None:
            self._mean("true_outlier_rate", views.wrong.float().mean())
            self.auroc.update(-weights.flatten().cpu(), views.wrong.flatten().cpu().int())
            self.has_ground_truth = True
        self.embeddings = outputs["embeddings"].flatten(0, 1)
        if views.labels is not None:
            self.neighbours.add(outputs["features"], views.labels)
        module.log("step_loss", outputs["loss"].detach(), sync_dist=True)
        module.log_dict(self._now(), prog_bar=True, logger=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log the epoch, and print its line."""
        if not self.means:
            return
        values = {name: float(mean.compute()) for name, mean in self.means.items()}
        values["rankme"] = rank_me(self.embeddings)
        accuracy = self.neighbours.top1()
        if accuracy is not None:
            values["accuracy"] = accuracy
        values["images_per_second"] = self.images / (time.perf_counter() - self.began)
        if self.has_ground_truth and module.arbiter is not None:
            values["auroc"] = float(self.auroc.compute())
        module.log_dict(values, sync_dist=True)
        if trainer.is_global_zero:
            shown = "  ".join(f"{name} {values[name]:.3g}" for name in _SHOWN if name in values)
            self.console.print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {shown}")

    def _begin_epoch(self) -> None:
        self.means: dict[str, MeanMetric] = {}
        self.auroc = BinaryAUROC()
        self.has_ground_truth = False
        self.embeddings = torch.zeros(0)
        self.neighbours = Neighbours()
        self.began = time.perf_counter()
        self.images = 0

    def _mean(self, name: str, value: torch.Tensor | float) -> None:
        self.means.setdefault(name, MeanMetric()).update(float(value))

    def _now(self) -> dict[str, float]:
        shown = {
            name: float(self.means[name].compute()) for name in ("loss", "ess", "outlier_rate") if name in self.means
        }
        return shown | {"img/s": self.images / (time.perf_counter() - self.began)}


_SHOWN = (
    "loss",
    "images_per_second",
    "ess",
    "candidates_outlier_rate",
    "outlier_rate",
    "true_outlier_rate",
    "auroc",
    "rankme",
    "accuracy",
)
