"""A linear layer on an encoder, trained on labels, with the encoder frozen or along with it."""

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from uota.distributed import gather_objects
from uota.errors import UotaError
from uota.evaluation.initial import INITIAL
from uota.evaluation.optimizers import OPTIMIZERS
from uota.numerics import at_least_float32, seed_of
from uota.settings.linear_protocols import Schedule
from uota.views import Views


@dataclass(frozen=True)
class Training:
    """How a classifier is trained.

    Attributes:
        epochs: of the whole training.
        epoch_steps: steps of each.
        head_rate: learning rate of the linear layer at the top of the schedule, for this batch.
        encoder_rate: likewise of the encoder; None: it is frozen and in eval mode.
        schedule: of both rates.
        optimizer: one of `OPTIMIZERS`.
        weight_decay, momentum: of the optimiser.
        initial: one of `INITIAL`, distribution of the linear layer's initial weights.
        seed: of the initial weights, and of what the encoder draws at random.
    """

    epochs: int
    epoch_steps: int
    head_rate: float
    encoder_rate: float | None
    schedule: Schedule
    optimizer: str
    weight_decay: float
    momentum: float
    initial: str
    seed: int

    def decay(self, step: int) -> float:
        """The factor of both rates, a function of the step alone."""
        return self.schedule(step, self.epoch_steps, self.epochs)


class Classifier(pl.LightningModule):
    """Trains on augmented views, one per image, and counts hits on whole images.

    Args:
        encoder: images to features of width `width`.
        width: of the features.
        classes: their number.
        training: how it is trained.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, training: Training) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(training.encoder_rate is not None)
        self.head = nn.Linear(width, classes)
        INITIAL[training.initial](self.head, torch.Generator().manual_seed(training.seed))
        self.how = training
        self.hits: list[Bool[Tensor, "_ ranks"]] = []

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.head(at_least_float32(self.encoder(images.contiguous(memory_format=torch.channels_last))))

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        """Set the rates, and what is drawn at random, by the step alone."""
        self.encoder.train(self.how.encoder_rate is not None)
        torch.manual_seed(seed_of(self.how.seed, self.global_step))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["top"] * self.how.decay(self.global_step)

    def training_step(self, views: Views, batch_index: int) -> Float[Tensor, ""]:
        """Cross-entropy of a batch."""
        assert views.labels is not None
        loss = cross_entropy(self(views.by_size[0][0]), views.labels)
        if not bool(torch.isfinite(loss.detach())):
            raise UotaError(f"NaN or infinite loss at step {self.global_step}: lower --learning_rate")
        self.log("loss", loss.detach(), prog_bar=True, sync_dist=True)
        return loss

    def on_test_start(self) -> None:
        self.hits = []

    def test_step(self, batch: tuple[Tensor, Int64[Tensor, " images"]], batch_index: int) -> None:
        """At which of the first five ranks an image's label is."""
        images, labels = batch
        logits = self(images)
        if not bool(torch.isfinite(logits).all()):
            raise UotaError("NaN or infinite logits after the last step: lower --learning_rate")
        self.hits.append((logits.topk(min(5, logits.shape[1])).indices == labels[:, None]).cpu())

    def accuracy(self, k: int) -> float:
        """Share of the tested images, in per cent, whose label is among the first k ≤ 5."""
        return 100 * float(torch.cat(self.hits)[:, :k].any(1).float().mean())

    def on_test_end(self) -> None:
        """Hits of all processes."""
        self.hits = gather_objects(self.hits)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser, the encoder's parameters first where they learn."""
        groups = [{"params": list(self.head.parameters()), "top": self.how.head_rate}]
        if self.how.encoder_rate is not None:
            groups.insert(0, {"params": list(self.encoder.parameters()), "top": self.how.encoder_rate})
        return OPTIMIZERS[self.how.optimizer](groups, self.how.head_rate, self.how.momentum, self.how.weight_decay)
