"""Typed settings of a transfer. Every field is a flag of `uota transfer TASK`."""

from dataclasses import dataclass
from typing import Literal

from uota.errors import UotaError
from uota.settings.ranges import check_multiple, check_settings, count_ranks

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
    """Settings of a transfer to COCO."""

    coco: str | None = None
    """Folder with train2017, val2017 and annotations, as COCO is unpacked."""
    schedule: Literal["1x", "2x"] = "1x"
    """1x: 90,000 steps of 16 images, which are 12 epochs of COCO; 2x: twice as many. With another batch size the number
    of images stays."""
    epochs: int | None = None
    """Length in epochs instead of the schedule's; the learning rate drops at the same shares of training."""
    steps: int | None = None
    """Length in steps instead of the schedule's; the learning rate drops at the same shares of training."""
    batch_size: int = BATCH_OF_SCHEDULES
    """Images per step, over all devices."""
    learning_rate: float = 0.02
    """Learning rate for 16 images, scaled to the batch."""
    heads: Heads = "published"
    """published: detectron2's, with batch norm and a box head of four convolutions; torchvision: its own."""
    norm: Literal["sync", "frozen"] = "sync"
    """Batch norm of the encoder: sync (over all devices; with torchvision heads in the pyramid too) or frozen."""
    from_scratch: bool = False
    """Discard the encoder's weights and train the same network from random ones, for comparison."""
    weight_decay: float = 1e-4
    """Weight decay, not applied to norms, nor with torchvision heads to biases."""
    momentum: float = 0.9
    """Momentum of SGD."""
    seed: int = 0
    """Seed of initial weights, order, flips and sampling."""
    workers: int | None = None
    """Processes that load images; null: as many as are useful."""
    accelerator: str = "auto"
    """auto, cpu, gpu, …"""
    devices: int | Literal["auto"] = 1
    """Number of devices of each node, with one process each, that share the batch. auto: all accelerators, or one CPU.
    torchrun and srun have started the processes already: leave it out then."""
    nodes: int = 1
    """Number of machines, on each of which torchrun or srun starts the same command."""
    threads: int | None = None
    """CPU threads of each process; null: torch's choice."""
    checkpoint_every: int = 500
    """Steps between checkpoints; there is another at the end and on Ctrl-C."""

    def __post_init__(self) -> None:
        check_settings(self)
        check_multiple(self.batch_size, self.devices, self.nodes)
        if self.epochs is not None and self.steps is not None:
            raise UotaError("epochs and steps are both set; give one, the other follows from it")
        if self.norm == "frozen" and self.from_scratch:
            raise UotaError("norm is frozen and from_scratch is set; random weights need a batch norm that learns")

    @property
    def ranks(self) -> int:
        """Number of processes on all nodes."""
        return count_ranks(self.devices, self.nodes)

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
