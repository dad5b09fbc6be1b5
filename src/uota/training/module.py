"""The training step, for Lightning's Trainer."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from uota.arbitration import Arbiter, ViewSampler
from uota.encoders.memory import MemoryBank
from uota.errors import UotaError
from uota.methods.embedded import Step
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import look
from uota.training.optimizer import build_optimizer
from uota.training.schedules import learning_rate
from uota.views import Views


class Pretraining(pl.LightningModule):
    """A method, an arbiter and their optimiser.

    Args:
        method: embeds views and returns its weighted loss.
        arbiter: weighs views; None: all alike.
        sampler: chooses among candidate views before any is encoded; None: all are.
        settings: of the run, decided. What a step draws at random (dropout, stochastic depth) follows from the seed and
            the step.
        total_steps: of the whole run.
    """

    def __init__(
        self,
        method: Any,
        arbiter: Arbiter | None,
        sampler: ViewSampler | None,
        settings: Pretrain,
        total_steps: int,
    ) -> None:
        super().__init__()
        self.method = method
        self.arbiter = arbiter
        self.sampler = sampler
        self.settings = settings
        self.total_steps = total_steps
        # Alike on every rank by themselves, and too large for DistributedDataParallel to send in every step.
        remembered = [f"{name}.rows" for name, part in self.named_modules() if isinstance(part, MemoryBank)]
        self._ddp_params_and_buffers_to_ignore = remembered

    def judge(self) -> tuple[Arbiter | None, str]:
        """The run's arbiter and what it looks at: what weighs, else what chooses among candidates."""
        if self.arbiter is None and self.sampler is not None:
            return self.sampler.arbiter, "thumbnails"
        return self.arbiter, self.settings.look

    def training_step(self, views: Views, batch_index: int) -> dict[str, Any]:
        """Choose, embed, weigh, and return the loss, with what a monitor wants to see."""
        progress = self.global_step / self.total_steps
        torch.manual_seed(hash((self.settings.seed, self.global_step, self.global_rank)) % 2**63)

        step = Step(self.global_step, progress, self.settings.weigh == "both", views.labels, views.index)

        rate = None
        if self.sampler is not None:
            sampled = self.sampler(views.by_size)
            views, rate = views.select(sampled.chosen, sampled.by_size), sampled.verdict.outlier_rate
        embedded = self.method.embed(views.by_size, step)
        self._require_finite(embedded.projected, "embeddings")
        verdict = None
        weights = torch.ones(embedded.projected.shape[:2], device=self.device)
        if self.arbiter is not None:
            verdict = self.arbiter(look(self.settings.look, embedded), progress)
            weights = verdict.weights
        loss = self.method.loss(embedded, weights, step)
        self._require_finite(loss, "loss")

        told = {"embeddings": embedded.z.detach(), "features": embedded.features[0].detach()}
        seen = {"views": views, "candidates_outlier_rate": rate, "weights": weights, "verdict": verdict}
        return {"loss": loss} | told | seen

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        """Set the learning rate, a function of the step alone."""
        start = self.arbiter.start if self.arbiter is not None else 0.0
        rate = learning_rate(self.global_step, self.total_steps, self.settings, start)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["rate"] * (self.settings.learning_rate if group["constant"] else rate)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the method drop gradients, such as of what is frozen at first."""
        if hasattr(self.method, "before_update"):
            self.method.before_update(self.global_step)

    def _require_finite(self, x: Tensor, what: str) -> None:
        if not bool(torch.isfinite(x.detach().sum())):
            raise UotaError(
                f"NaN or infinite {what} at step {self.global_step}: the training has diverged; lower "
                "learning_rate, or with precision bf16 try 32. What was saved before is whole"
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Of the method; the arbiter's head has its own."""
        return build_optimizer(self.method, self.settings)


def rank_me(embeddings: Tensor) -> float:
    """Effective rank of embeddings (rows, dim): exp of the entropy of their singular values (Garrido et al., 2023)."""
    values = torch.linalg.svdvals(embeddings.float())
    share = values / values.sum().clamp_min(1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))
