"""Published linear evaluations, as data: how each paper trains the classifier behind its accuracy on ImageNet.

Values were read in the released files named with them; `docs/published/protocols-*.yaml` has a row for each.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

# Learning rates are given for batches of this size, and scaled in proportion to the batch.
BATCH_OF_RATES = 256

# A factor of the top rate, from the step, the steps in an epoch and the number of epochs.
Schedule = Callable[[int, int, int], float]


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to 0.

    Attributes:
        moves_after: each step, or each epoch, as PyTorch's schedulers are mostly used.
    """

    moves_after: Literal["step", "epoch"]

    def __call__(self, step: int, epoch_steps: int, epochs: int) -> float:
        """The factor at this step."""
        if self.moves_after == "epoch":
            step -= step % epoch_steps
        return (1 + math.cos(math.pi * min(step / (epoch_steps * epochs), 1.0))) / 2

    def __str__(self) -> str:
        return f"cosine that moves after each {self.moves_after}"


@dataclass(frozen=True)
class Drops:
    """A rate that drops by a factor, and is constant in between.

    Attributes:
        factor: of each drop.
        at: shares of training at which the rate drops.
    """

    factor: float
    at: tuple[float, ...]

    def __call__(self, step: int, epoch_steps: int, epochs: int) -> float:
        """The factor at this step."""
        progress = step / (epoch_steps * epochs)
        return self.factor ** sum(progress >= drop for drop in self.at)

    def __str__(self) -> str:
        return f"× {self.factor:g} at {', '.join(f'{drop:.3g}' for drop in self.at)} of training"


@dataclass(frozen=True)
class LinearProtocol:
    """A published linear evaluation of a frozen encoder, on randomly cropped and mirrored images.

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
        initial: distribution of the classifier's initial weights.
        smallest_crop: share of the image's area that a training crop has at least.
        images_like: whose cropping and resizing is followed; simclr and byol resize by TensorFlow's bicubic.
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
        """The protocol as plain values, for a file."""
        return asdict(self) | {"schedule": str(self.schedule)}


_SWAV = LinearProtocol(
    "swav",
    "Caron et al. 2020; facebookresearch/swav: eval_linear.py",
    epochs=100,
    batch_size=256,  # 8 GPUs of 32
    learning_rate=0.3,
    schedule=Cosine("epoch"),
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
    learning_rate=30.0,  # its README, for ResNets
    schedule=Drops(0.2, (30 / 60, 40 / 60, 50 / 60)),
)
_SIMCLR = LinearProtocol(
    "simclr",
    "Chen et al. 2020, appendix B.6; google-research/simclr: README.md, model_util.py",
    epochs=90,
    batch_size=4096,
    learning_rate=0.1,
    schedule=Cosine("step"),
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
            schedule=Cosine("epoch"),
            optimizer="larc",
        ),
        LinearProtocol(
            "byol",
            "Grill et al. 2020; google-deepmind/deepmind-research: byol/configs/eval.py, byol/eval_experiment.py",
            epochs=80,
            batch_size=1024,
            learning_rate=0.2,
            schedule=Cosine("step"),
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

# Protocols of methods by another name.
_BY_METHOD = {"moco_v1": "moco", "moco_v2": "moco"}


def protocol_of(method: str | None, arbiter: str | None) -> str:
    """The protocol of a method and its arbiter; `swav` for None, and for methods that released none."""
    if method == "swav" and arbiter == "mahalanobis":
        return "uota"
    name = _BY_METHOD.get(method or "", method)
    return name if name in LINEAR_PROTOCOLS else "swav"
