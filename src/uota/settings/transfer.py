"""Typed settings of a transfer. Every field is a flag of `uota transfer TASK`."""

from dataclasses import dataclass
from typing import Literal

from uota.errors import UotaError
from uota.settings.ranges import check_multiple, check_settings

Task = Literal["detection", "segmentation", "keypoints"]
Heads = Literal["published", "torchvision"]
TASKS: dict[Task, str] = {
    "detection": "boxes, by Faster R-CNN",
    "segmentation": "boxes and masks, by Mask R-CNN",
    "keypoints": "boxes and keypoints, by Keypoint R-CNN",
}
# Schedules and learning rates are given for so many images a step: Detectron's, which papers on pretraining follow.
BATCH_OF_SCHEDULES = 16
SCHEDULES = {"1x": 90_000, "2x": 180_000}
# Shares of training at which the rate is divided by 10: after 60,000 and 80,000 steps of 1x.
DROPS = (2 / 3, 8 / 9)
WARMUP, WARMUP_SHARE, WARMUP_START = 1000, 0.1, 0.001


@dataclass
class Transfer:
    """Settings of a transfer to COCO.

    Attributes:
        coco: folder with train2017, val2017 and annotations, as COCO is unpacked
        schedule: 1x is 90,000 steps of 16 images (12 epochs of COCO), 2x twice as many; of other batches as many images
        epochs: instead of the schedule's length; its drops of the rate are at the same shares of training
        steps: likewise
        batch_size: images per step, over all devices
        learning_rate: for 16 images, scaled to the batch
        heads: published (detectron2's, with batch norm and a box head of four convolutions) or torchvision (its own)
        norm: the encoder's batch norm: sync (over all devices; with torchvision heads in the pyramid too) or frozen
        from_scratch: throw the encoder's weights away and train the same network from random ones, for comparison
        weight_decay: not applied to norms; with torchvision heads not to biases either
        momentum: of SGD
        seed: of first weights, order, flips and sampling

        workers: processes that load images; null: as many as are useful
        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch
        threads: CPU threads of each process; null: torch's choice
        checkpoint_every: steps between checkpoints; another at the end and on Ctrl-C
    """

    coco: str | None = None
    schedule: Literal["1x", "2x"] = "1x"
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = BATCH_OF_SCHEDULES
    learning_rate: float = 0.02
    heads: Heads = "published"
    norm: Literal["sync", "frozen"] = "sync"
    from_scratch: bool = False
    weight_decay: float = 1e-4
    momentum: float = 0.9
    seed: int = 0

    workers: int | None = None
    accelerator: str = "auto"
    devices: int = 1
    threads: int | None = None
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        check_settings(self)
        check_multiple(self.batch_size, self.devices)
        if self.epochs is not None and self.steps is not None:
            raise UotaError("epochs and steps are both set; give one, the other follows from it")
        if self.norm == "frozen" and self.from_scratch:
            raise UotaError("norm is frozen and from_scratch is set; random weights need a batch norm that learns")

    @property
    def pixel_centre(self) -> float:
        """Offset of keypoints' coordinates, so that pixel 0 spans 0 to 1, as it does for boxes."""
        return 0.5 if self.heads == "published" else 0.0

    def total_steps(self, batches: int, batch: int) -> int:
        """Steps of the whole training, with so many batches of so many images in an epoch."""
        if self.steps is not None:
            return self.steps
        if self.epochs is not None:
            return self.epochs * batches
        return SCHEDULES[self.schedule] * BATCH_OF_SCHEDULES // batch


def learning_rate(step: int, total: int, top: float) -> float:
    """Linear warm-up over 1,000 steps (a tenth of a shorter training), then a tenth after each drop."""
    warmup = min(WARMUP, WARMUP_SHARE * total)
    if step < warmup:
        return top * (WARMUP_START + (1 - WARMUP_START) * step / warmup)
    return top / 10 ** sum(step >= round(drop * total) for drop in DROPS)
