"""How each paper trains the linear classifier that its accuracy on ImageNet is of, as data.

What is said of a released file was read in it; `docs/published/protocols-*.yaml` has a row for each value.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

# Learning rates are given for batches of so many images, and scaled in proportion to the batch.
BATCH_OF_RATES = 256

# What the top rate is multiplied by: of the step, the steps of an epoch, and the number of epochs.
Schedule = Callable[[int, int, int], float]


@dataclass(frozen=True)
class CosinePerStep:
    """Half a cosine from 1 to 0 that moves after each step."""

    moves_after: ClassVar[str] = "step"

    def __call__(self, step: int, epoch_steps: int, epochs: int) -> float:
        """The factor of this step."""
        return _half_cosine(step / (epoch_steps * epochs))

    def __str__(self) -> str:
        return f"cosine that moves after each {self.moves_after}"


@dataclass(frozen=True)
class CosinePerEpoch:
    """Half a cosine from 1 to 0 that moves after each epoch, as PyTorch's schedulers are mostly used."""

    moves_after: ClassVar[str] = "epoch"

    def __call__(self, step: int, epoch_steps: int, epochs: int) -> float:
        """The factor of this step."""
        return _half_cosine(step // epoch_steps / epochs)

    def __str__(self) -> str:
        return f"cosine that moves after each {self.moves_after}"


@dataclass(frozen=True)
class Drops:
    """Constant between drops.

    Attributes:
        factor: of each drop.
        at: shares of training at which the rate drops.
    """

    factor: float
    at: tuple[float, ...]

    def __call__(self, step: int, epoch_steps: int, epochs: int) -> float:
        """The factor of this step."""
        progress = step / (epoch_steps * epochs)
        return self.factor ** sum(progress >= drop for drop in self.at)

    def __str__(self) -> str:
        return f"× {self.factor:g} at {', '.join(f'{drop:.3g}' for drop in self.at)} of training"


def _half_cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * min(progress, 1.0))) / 2


@dataclass(frozen=True)
class LinearProtocol:
    """A published linear evaluation: the encoder is frozen, each image randomly cropped and mirrored.

    Attributes:
        name: of the protocol.
        source: paper, and released file where there is one.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: at the top of the schedule, for 256 images.
        schedule: of the rate.
        optimizer: SGD with classical or Nesterov's momentum, or with LARC's trust ratio, not clipped.
        weight_decay: of weights and biases.
        momentum: of the optimiser.
        initial: distribution of the classifier's first weights.
        smallest_crop: share of the image's area that a training crop has at least.
        images_like: whose arithmetic cuts and resizes images; the other two resize by TensorFlow's bicubic.
    """

    name: str
    source: str
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    optimizer: Literal["sgd", "nesterov", "larc"] = "sgd"
    weight_decay: float = 0.0
    momentum: float = 0.9
    initial: Literal["normal", "zeros", "truncated_normal", "uniform"] = "normal"
    smallest_crop: float = 0.08
    images_like: Literal["torchvision", "simclr", "byol"] = "torchvision"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self) | {"schedule": str(self.schedule)}


_SWAV = LinearProtocol(
    "swav",
    "Caron et al. 2020; facebookresearch/swav: eval_linear.py",
    epochs=100,
    batch_size=256,  # 8 GPUs of 32
    learning_rate=0.3,
    schedule=CosinePerEpoch(),
    weight_decay=1e-6,
)
_MOCO = LinearProtocol(
    "moco",
    "He et al. 2020, Chen et al. 2020; facebookresearch/moco: main_lincls.py",
    epochs=100,
    batch_size=256,
    learning_rate=30.0,
    schedule=Drops(0.1, (60 / 100, 80 / 100)),
)
_CMC = LinearProtocol(
    "cmc",
    "Tian et al. 2020; HobbitLong/CMC: LinearProbing.py",
    epochs=60,
    batch_size=256,
    learning_rate=30.0,  # its README, of ResNets
    schedule=Drops(0.2, (30 / 60, 40 / 60, 50 / 60)),
)
_SIMCLR = LinearProtocol(
    "simclr",
    "Chen et al. 2020, appendix B.6; google-research/simclr: README.md, model_util.py",
    epochs=90,
    batch_size=4096,
    learning_rate=0.1,
    schedule=CosinePerStep(),
    optimizer="nesterov",
    initial="zeros",
    images_like="simclr",
)

LINEAR_PROTOCOLS: dict[str, LinearProtocol] = {
    protocol.name: protocol
    for protocol in (
        _SWAV,
        replace(_SWAV, name="uota", source="ssl-codelab/uota: README.md, eval_linear.py", learning_rate=1.2),
        _MOCO,
        replace(_MOCO, name="jcl", source="Cai et al. 2020; caiqi/Joint-Contrastive-Learning: main_lincls.py"),
        LinearProtocol(
            "simsiam",
            "Chen and He 2021; facebookresearch/simsiam: main_lincls.py",
            epochs=90,
            batch_size=4096,
            learning_rate=0.1,
            schedule=CosinePerEpoch(),
            optimizer="larc",
        ),
        LinearProtocol(
            "byol",
            "Grill et al. 2020; google-deepmind/deepmind-research: byol/configs/eval.py, byol/eval_experiment.py",
            epochs=80,
            batch_size=1024,
            learning_rate=0.2,
            schedule=CosinePerStep(),
            optimizer="nesterov",
            initial="truncated_normal",  # Haiku's default
            images_like="byol",
        ),
        _SIMCLR,
        replace(
            _SWAV,
            name="barlow_twins",
            source="Zbontar et al. 2021; facebookresearch/barlowtwins: evaluate.py",
        ),
        _CMC,
        replace(
            _CMC,
            name="infomin",
            source="Tian et al. 2020b; HobbitLong/PyContrast: pycontrast/options/test_options.py",
            initial="uniform",  # PyTorch's default
            smallest_crop=0.2,
        ),
    )
}

# Of methods whose name is not their protocol's; where no linear evaluation was released, SwAV's.
_BY_METHOD = {"moco_v1": "moco", "moco_v2": "moco"}


def protocol_of(method: str | None, arbiter: str | None) -> str:
    """The name of a method's own protocol; None and methods without one: `swav`."""
    if method == "swav" and arbiter == "mahalanobis":
        return "uota"
    name = _BY_METHOD.get(method or "", method)
    return name if name in LINEAR_PROTOCOLS else "swav"
