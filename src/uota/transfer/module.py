"""The LightningModule that trains a detector and collects its detections on the validation images."""

from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uota.errors import UotaError
from uota.numerics import seed_of
from uota.settings.transfer import BATCH_OF_SCHEDULES, Transfer, learning_rate
from uota.transfer.annotations import Annotations
from uota.transfer.average_precision import as_results
from uota.transfer.images import Target, to_floats

NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


class Detection(pl.LightningModule):
    """Trains a detector and collects its detections on the validation images.

    Args:
        detector: one of torchvision's R-CNNs.
        frozen: the module whose batch norms are frozen; None: none.
        settings: settings of the transfer.
        batch: images per step, over all devices.
        total_steps: steps of the whole training.
        val: annotations of the validation images.
    """

    def __init__(
        self,
        detector: nn.Module,
        frozen: nn.Module | None,
        settings: Transfer,
        batch: int,
        total_steps: int,
        val: Annotations,
    ) -> None:
        super().__init__()
        self.detector, self.settings, self.total_steps = detector, settings, total_steps
        self.top = settings.learning_rate * batch / BATCH_OF_SCHEDULES
        self.val = val
        self.norms = [each for each in frozen.modules() if isinstance(each, _BatchNorm)] if frozen else []
        for norm in self.norms:
            norm.requires_grad_(False)
        self.results: list[dict[str, Any]] = []

    def begin_step(self, step: int) -> None:
        """Set training mode, and seed random draws from the step alone."""
        self.detector.train()  # encoders are loaded in eval mode, and Lightning does not change modes
        for norm in self.norms:
            norm.eval()
        torch.manual_seed(seed_of(self.settings.seed, step, self.global_rank))

    def losses(self, batch: list[tuple[Tensor, Target]]) -> dict[str, Float[Tensor, ""]]:
        """Return the detector's losses by name."""
        return self.detector([to_floats(image) for image, _ in batch], [target for _, target in batch])

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """Set training mode, the random seed and the learning rate; all depend on the step alone."""
        self.begin_step(self.global_step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(self.global_step, self.total_steps, self.top)

    def training_step(self, batch: list[tuple[Tensor, Target]], batch_index: int) -> Float[Tensor, ""]:
        """Return the sum of the detector's losses."""
        losses = self.losses(batch)
        loss = torch.stack(list(losses.values())).sum()
        if not bool(torch.isfinite(loss.detach())):
            raise UotaError(
                f"the loss is NaN or infinite at step {self.global_step}, so training has diverged (the last "
                "checkpoint is intact); lower --learning_rate"
            )
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(batch))
        self.log_dict({name: each.detach() for name, each in losses.items()}, batch_size=len(batch))
        return loss

    def on_test_start(self) -> None:
        self.results = []

    def test_step(self, batch: list[tuple[int, Tensor | None]], batch_index: int) -> None:
        """Collect detections in COCO's results format."""
        readable = [(index, to_floats(image)) for index, image in batch if image is not None]
        if not readable:
            return
        for (index, _), found in zip(readable, self.detector([image for _, image in readable]), strict=True):
            if "keypoints" in found:
                found["keypoints"][..., :2] -= self.settings.pixel_centre
            self.results += as_results(found, self.val.images[index]["id"], self.val.categories)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return SGD with classical momentum."""
        groups = parameter_groups(self.detector, self.settings)
        return torch.optim.SGD(groups, lr=self.top, momentum=self.settings.momentum)


def parameter_groups(detector: nn.Module, settings: Transfer) -> list[dict[str, Any]]:
    """Split the trainable parameters into those with weight decay and those without.

    With published heads all parameters but those of norms decay (detectron2/solver/build.py, with WEIGHT_DECAY_NORM 0
    and WEIGHT_DECAY_BIAS as for weights); with torchvision's heads biases do not decay either.
    """
    of_norms = {id(each) for norm in detector.modules() if isinstance(norm, NORMS) for each in norm.parameters()}
    biases_decay = settings.heads == "published"
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": settings.weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for parameter in detector.parameters():
        if parameter.requires_grad:
            decays = id(parameter) not in of_norms if biases_decay else parameter.ndim > 1
            groups[0 if decays else 1]["params"].append(parameter)
    return groups
