"""The training step, as a module of Lightning."""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration import Arbiter, Arbitration, ViewSampler
from uota.arbitration.result import Number
from uota.encoders.memory import MemoryBank
from uota.losses import Side, ViewWeights
from uota.methods.card import BeforeUpdate, Method
from uota.methods.embedded import Embedded, Step
from uota.numerics import seed_of
from uota.settings.pretrain import CHOSEN, Pretrain
from uota.training.accumulation import embed_in_parts
from uota.training.arbiter_choice import ArbiterChoice
from uota.training.arbiter_inputs import arbiter_input
from uota.training.divergence import READ_EVERY, Divergence
from uota.training.frozen_eyes import FrozenEyes
from uota.training.optimizer import build_optimizer
from uota.training.schedules import learning_rate
from uota.training.sharding import average_whole, shard
from uota.views import Views


class StepOutput(TypedDict):
    """What a training step returns; Lightning takes a dict with the loss.

    Attributes:
        loss: with gradient.
        embeddings: (views, batch, dim), on the unit sphere.
        features: (batch, features), the encoder's output for the first view.
        views: those that were encoded.
        weights: (views, batch).
        verdict: the arbiter's; None without one.
        candidates_outlier_rate: estimated share of outliers among the candidate views; None: there is no sampler.
    """

    loss: Tensor
    embeddings: Tensor
    features: Tensor
    views: Views
    weights: Tensor
    verdict: Arbitration | None
    candidates_outlier_rate: Number | None


class Pretraining(pl.LightningModule):
    """A method, an arbiter and their optimiser.

    Args:
        method: embeds views and computes the weighted loss.
        arbiter: weighs views; None: all views weigh the same.
        sampler: chooses among candidate views before they are encoded; None: all are encoded.
        settings: of the run, without `auto`.
        total_steps: number of steps of the whole run.
        epoch_steps: number of steps of a pass over the images, see `learning_rate`.
        eyes: frozen eyes of the arbiter; None: it sees what the method computes.
    """

    def __init__(
        self,
        method: Method,
        arbiter: Arbiter | None,
        sampler: ViewSampler | None,
        settings: Pretrain,
        total_steps: int,
        epoch_steps: int = 1,
        eyes: FrozenEyes | None = None,
    ) -> None:
        super().__init__()
        self.method = method
        self.arbiter = arbiter
        self.sampler = sampler
        self.eyes = eyes
        self.settings = settings
        self.total_steps, self.epoch_steps = total_steps, epoch_steps
        self._divergence = Divergence()
        self._is_sharded = False
        self._before_update: Callable[[int], None] | None = None
        if isinstance(method, BeforeUpdate):
            self._before_update = method.before_update
        # Equal on all ranks anyway, and too large for DistributedDataParallel to broadcast in every step.
        remembered = [f"{name}.rows" for name, part in self.named_modules() if isinstance(part, MemoryBank)]
        self._ddp_params_and_buffers_to_ignore = remembered

    @property
    def changes_gradients(self) -> bool:
        """Whether the method changes gradients before an update."""
        return self._before_update is not None

    @property
    def primary_arbiter(self) -> Arbiter | None:
        """The arbiter of the run, or else of its sampler."""
        return self.sampler.arbiter if self.arbiter is None and self.sampler is not None else self.arbiter

    def arbiter_features(self, embedded: Embedded) -> Float[Tensor, "views batch dim"]:
        """Compute what the primary arbiter sees of a batch of views, detached."""
        if self.eyes is not None:
            return self.eyes(embedded.by_size)
        return arbiter_input("thumbnails" if self.arbiter is None else self.settings.arbitration.eyes, embedded)

    def take_choice(self, choice: ArbiterChoice, state: Mapping[str, Tensor] | None = None) -> None:
        """Take over what a trial has found out about the arbiter and its frozen eyes.

        Args:
            choice: the arbiter.
            state: state of the eyes' projection; None: it will be loaded along with this module's.
        """
        assert self.eyes is not None
        self.eyes.fit(choice, state)
        if self.arbiter is not None and self.settings.arbitration.arbiter == CHOSEN:
            self.arbiter.score = choice.score

    def training_step(self, views: Views, batch_index: int) -> StepOutput:
        """Choose among candidates, embed, weigh, and compute the loss.

        What a step draws at random, such as dropout and stochastic depth, follows from the seed and the step. Nothing
        waits for the device, except that every `READ_EVERY` steps it is read whether the training has diverged.

        Raises:
            UotaError: it has.
        """
        if self.global_step % READ_EVERY == 0:
            self._divergence.require_none()
        seed = seed_of(self.settings.runtime.seed, self.global_step, self.global_rank)
        torch.manual_seed(seed)
        step = Step(self.global_step, self.global_step / self.total_steps, views.labels, views.index)

        rate = None
        if self.sampler is not None:
            sampled = self.sampler(views.by_size, check_finite=False)
            views, rate = views.select(sampled.chosen, sampled.by_size), sampled.verdict.outlier_rate
        embedded = self._embed(views.by_size, step, seed)
        self._divergence.watch(embedded.projected, "embeddings", self.global_step)
        weights, verdict = self._weigh(embedded, step.progress)
        loss = self.method.loss(embedded, weights, step)
        self._divergence.watch(loss, "loss", self.global_step)
        return StepOutput(
            loss=loss,
            embeddings=embedded.z.detach(),
            features=embedded.features[0].detach(),
            views=views,
            weights=weights.values,
            verdict=verdict,
            candidates_outlier_rate=rate,
        )

    def _embed(self, by_size: list[Tensor], step: Step, seed: int) -> Embedded:
        parts = self.settings.optimization.accumulate
        if parts == 1:
            return self.method.embed(by_size, step)
        embedded = embed_in_parts(self.method, by_size, step, parts, seed)
        torch.manual_seed(seed)  # what a loss draws does not depend on the parts
        return embedded

    def _weigh(self, embedded: Embedded, progress: float) -> tuple[ViewWeights, Arbitration | None]:
        side: Side = "both" if self.settings.arbitration.weighted_side == "both" else "predictor"
        if self.arbiter is None:
            views, batch = embedded.projected.shape[:2]
            return ViewWeights.uniform(views, batch, side, device=self.device), None
        verdict = self.arbiter(self.arbiter_features(embedded), progress, check_finite=False)
        return ViewWeights(verdict.weights, side), verdict

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        """Set the learning rate, which is a function of the step."""
        start = self.arbiter.start if self.arbiter is not None else 0.0
        rate = learning_rate(self.global_step, self.total_steps, self.settings, start, self.epoch_steps)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["rate"] * (self.settings.optimization.peak if group["constant"] else rate)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the method change gradients first."""
        if self.settings.runtime.strategy == "fsdp2":
            average_whole(self.get_submodule("method"))
        if self._before_update is not None:
            self._before_update(self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save a training that has diverged, so that the checkpoint before it stays."""
        self._divergence.require_none()

    def configure_model(self) -> None:
        """Shard the networks, if ranks share them; Lightning then builds the optimiser of their parts."""
        if self.settings.runtime.strategy == "fsdp2" and self.device_mesh is not None and not self._is_sharded:
            shard(self.get_submodule("method"), self.device_mesh["data_parallel"])
            self._is_sharded = True
            # A checkpoint has no state of what was not updated yet, such as SwAV's prototypes in the first steps.
            self.strict_loading = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the method's optimiser; the arbiter's head has its own."""
        return build_optimizer(self.get_submodule("method"), self.settings)
