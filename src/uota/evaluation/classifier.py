"""A linear classifier on an encoder that is frozen or trained along with it."""

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
    """Hyperparameters of a classifier's training.

    Attributes:
        epochs: number of epochs.
        epoch_steps: steps per epoch.
        head_rate: peak learning rate of the linear layer, scaled to the batch size.
        encoder_rate: peak learning rate of the encoder; None: it is frozen and in eval mode.
        schedule: schedule of both rates.
        optimizer: name in `OPTIMIZERS`.
        weight_decay, momentum: parameters of the optimiser.
        initial: name in `INITIAL` of the distribution of the linear layer's initial weights.
        seed: seed of the initial weights and of the encoder's random draws, such as dropout.
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
        """Return the factor of both rates at a step."""
        return self.schedule(step, self.epoch_steps, self.epochs)


class Classifier(pl.LightningModule):
    """A classifier that is trained on one augmented view per image and tested on whole images.

    Args:
        encoder: maps images to features.
        width: width of the features.
        classes: number of classes.
        training: hyperparameters.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, training: Training) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(training.encoder_rate is not None)
        self.head = nn.Linear(width, classes)
        INITIAL[training.initial](self.head, torch.Generator().manual_seed(training.seed))
        self.settings = training
        self.hits: list[Bool[Tensor, "_ ranks"]] = []

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Compute the logits."""
        return self.head(at_least_float32(self.encoder(images.contiguous(memory_format=torch.channels_last))))

    def on_train_batch_start(self, batch: Views, batch_index: int) -> None:
        """Set learning rates and random seed by the step alone, so that a resumed training does not differ."""
        self.encoder.train(self.settings.encoder_rate is not None)
        torch.manual_seed(seed_of(self.settings.seed, self.global_step))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["top"] * self.settings.decay(self.global_step)

    def training_step(self, views: Views, batch_index: int) -> Float[Tensor, ""]:
        """Return the cross-entropy of a batch."""
        assert views.labels is not None
        loss = cross_entropy(self(views.by_size[0][0]), views.labels)
        if not bool(torch.isfinite(loss.detach())):
            raise UotaError(f"the loss is NaN or infinite at step {self.global_step}; lower --learning_rate")
        self.log("loss", loss.detach(), prog_bar=True, sync_dist=True)
        return loss

    def on_test_start(self) -> None:
        self.hits = []

    def test_step(self, batch: tuple[Tensor, Int64[Tensor, " images"]], batch_index: int) -> None:
        """Record at which of the first five ranks each image's label is."""
        images, labels = batch
        logits = self(images)
        if not bool(torch.isfinite(logits).all()):
            raise UotaError("the logits are NaN or infinite after the last step; lower --learning_rate")
        self.hits.append((logits.topk(min(5, logits.shape[1])).indices == labels[:, None]).cpu())

    def accuracy(self, k: int) -> float:
        """Return the top-k accuracy on the test images in per cent, for k ≤ 5."""
        return 100 * float(torch.cat(self.hits)[:, :k].any(1).float().mean())

    def on_test_end(self) -> None:
        """Gather the hits of all processes."""
        self.hits = gather_objects(self.hits)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser, with a parameter group of the encoder if it is trained."""
        groups = [{"params": list(self.head.parameters()), "top": self.settings.head_rate}]
        if self.settings.encoder_rate is not None:
            groups.insert(0, {"params": list(self.encoder.parameters()), "top": self.settings.encoder_rate})
        return OPTIMIZERS[self.settings.optimizer](
            groups, self.settings.head_rate, self.settings.momentum, self.settings.weight_decay
        )
