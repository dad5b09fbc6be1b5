"""Metrics that a run logs every epoch, and the lines that it prints."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAUROC

from uota.training.module import StepOutput
from uota.training.neighbours import Neighbours
from uota.views import Views


class Monitor(pl.Callback):
    """Logs metrics and prints a line for every epoch.

    Logged are the loss, images per second, the effective sample size, the estimated outlier rate, the mean weight of
    each type of view and RankMe; with labels also accuracy, and with ground truth the AUROC of the weights.

    Args:
        names: of the types of views, one per size.
        quiet: print no lines.
    """

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
        """Add a step to the epoch's means, and show them in the progress bar."""
        step: StepOutput = outputs
        weights, verdict, views = step["weights"], step["verdict"], step["views"]
        self.images += weights.shape[1] * trainer.world_size
        self._add("loss", step["loss"])
        counts = [len(of_size) for of_size in views.by_size]
        for name, of_size in zip(self.names, weights.split(counts), strict=True):
            self._add(f"weight_{name}", of_size.mean())
        if verdict is not None:
            self._add("ess", verdict.ess)
            if verdict.outlier_rate is not None:
                self._add("outlier_rate", verdict.outlier_rate)
        if step["candidates_outlier_rate"] is not None:
            self._add("candidates_outlier_rate", step["candidates_outlier_rate"])
        if views.wrong is not None:
            self._add("true_outlier_rate", views.wrong.float().mean())
            self.auroc.update(-weights.flatten().cpu(), views.wrong.flatten().cpu().int())
            self.has_ground_truth = True
        self.embeddings = step["embeddings"].flatten(0, 1)
        if views.labels is not None:
            self.neighbours.add(step["features"], views.labels)
        module.log("step_loss", step["loss"].detach(), sync_dist=True)
        module.log_dict(self._running_means(), prog_bar=True, logger=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log the epoch, and print its line."""
        if not self.means:
            return
        values = {name: float(mean.compute()) for name, mean in self.means.items()}
        values["rankme"] = rank_me(self.embeddings)
        accuracy = self.neighbours.top1()
        if accuracy is not None:
            values["accuracy"] = accuracy
        values["images_per_second"] = self._images_per_second()
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

    def _add(self, name: str, value: Tensor | float) -> None:
        self.means.setdefault(name, MeanMetric()).update(float(value))

    def _running_means(self) -> dict[str, float]:
        shown = [name for name in ("loss", "ess", "outlier_rate") if name in self.means]
        return {name: float(self.means[name].compute()) for name in shown} | {"img/s": self._images_per_second()}

    def _images_per_second(self) -> float:
        return self.images / (time.perf_counter() - self.began)


def rank_me(embeddings: Float[Tensor, "rows dim"]) -> float:
    """Effective rank of embeddings: exp of the entropy of their singular values (Garrido et al., 2023, equation 1)."""
    values = torch.linalg.svdvals(embeddings.float())
    share = values / values.sum().clamp_min(1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))


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
