"""The training step, for Lightning's Trainer."""

from typing import Any

import pytorch_lightning as pl
import torch
from timm.optim import create_optimizer_v2
from torch import Tensor

from uota.arbitration import Arbiter
from uota.config import Pretrain
from uota.methods import SimCLR, SwAV
from uota.training.looks import look
from uota.training.schedules import learning_rate
from uota.views import Views


class Pretraining(pl.LightningModule):
    """A method, an arbiter and their optimiser.

    Args:
        method: embeds views and returns its weighted loss.
        arbiter: weighs views; None: all alike.
        looks_at: thumbnails, features or embeddings.
        both: weigh both views of a pair, or the predicting one only.
        settings: of the run; the optimiser's and the seed are used here. What a step draws at random (dropout,
            stochastic depth) follows from the seed and the step.
        total_steps: of the whole run.
    """

    def __init__(
        self,
        method: SwAV | SimCLR,
        arbiter: Arbiter | None,
        looks_at: str,
        both: bool,
        settings: Pretrain,
        total_steps: int,
    ) -> None:
        super().__init__()
        self.method = method
        self.arbiter = arbiter
        self.looks_at = looks_at
        self.both = both
        self.settings = settings
        self.total_steps = total_steps

    def training_step(self, views: Views, batch_index: int) -> dict[str, Any]:
        progress = self.global_step / self.total_steps
        torch.manual_seed(hash((self.settings.seed, self.global_step, self.global_rank)) % 2**63)

        embedded = self.method.embed(views.groups)
        verdict = None
        weights = torch.ones(embedded.z.shape[:2], device=self.device)
        if self.arbiter is not None:
            verdict = self.arbiter(look(self.looks_at, views.groups, embedded), progress)
            weights = verdict.weights
        loss = self.method.loss(embedded, weights, self.both, self.global_step, progress)

        return {"loss": loss, "weights": weights, "verdict": verdict, "embeddings": embedded.z.detach()}

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        start = self.arbiter.start if self.arbiter is not None else 0.0
        rate = learning_rate(self.global_step, self.total_steps, self.settings, start)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.settings
        return create_optimizer_v2(
            self.method,
            settings.optimizer,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        )


def rank_me(embeddings: Tensor) -> float:
    """Effective rank of embeddings (rows, dim): exp of the entropy of their singular values (Garrido et al., 2023)."""
    values = torch.linalg.svdvals(embeddings.float())
    share = values / values.sum().clamp_min(1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))
