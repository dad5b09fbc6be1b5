"""A linear layer on an encoder, trained by SGD on labels, with the encoder frozen or along with it."""

import math
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from uota.collectives import gather_objects
from uota.errors import UotaError
from uota.views import Views

DROP = 0.2


@dataclass(frozen=True)
class Sgd:
    """How a classifier is trained.

    Attributes:
        steps: of the whole training.
        head_rate: learning rate of the linear layer at the top of the schedule, for this batch.
        encoder_rate: likewise of the encoder; None: it is frozen and in eval mode.
        weight_decay, momentum: of SGD.
        drops: shares of training at which rates are multiplied by 0.2; none: a cosine to zero.
        seed: of the first weights, and of what the encoder draws at random.
    """

    steps: int
    head_rate: float
    encoder_rate: float | None
    weight_decay: float
    momentum: float
    drops: tuple[float, ...]
    seed: int

    def decay(self, step: int) -> float:
        """What rates are multiplied by, a function of the step alone."""
        progress = step / self.steps
        if self.drops:
            return DROP ** sum(progress >= drop for drop in self.drops)
        return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


class Classifier(pl.LightningModule):
    """Trains on augmented views, one per image, and counts hits on whole images.

    Args:
        encoder: images to features of width `width`.
        width: of the features.
        classes: their number.
        sgd: how it is trained.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, sgd: Sgd) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(sgd.encoder_rate is not None)
        self.head = nn.Linear(width, classes)
        nn.init.normal_(self.head.weight, std=0.01, generator=torch.Generator().manual_seed(sgd.seed))
        nn.init.zeros_(self.head.bias)
        self.sgd = sgd
        self.hits: list[Bool[Tensor, "_ ranks"]] = []

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.head(self.encoder(images.contiguous(memory_format=torch.channels_last)).float())

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        """Set the rates, and what is drawn at random, by the step alone."""
        self.encoder.train(self.sgd.encoder_rate is not None)
        torch.manual_seed(hash((self.sgd.seed, self.global_step)) % 2**63)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["top"] * self.sgd.decay(self.global_step)

    def training_step(self, views: Views, batch_index: int) -> Float[Tensor, ""]:
        """Cross-entropy of a batch."""
        assert views.labels is not None
        loss = cross_entropy(self(views.groups[0][0]), views.labels)
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
        """SGD, the encoder's parameters first where they learn."""
        groups = [{"params": self.head.parameters(), "top": self.sgd.head_rate}]
        if self.sgd.encoder_rate is not None:
            groups.insert(0, {"params": self.encoder.parameters(), "top": self.sgd.encoder_rate})
        return torch.optim.SGD(
            groups, lr=self.sgd.head_rate, momentum=self.sgd.momentum, weight_decay=self.sgd.weight_decay
        )
