"""Typed settings of the evaluation protocols. Every field is a flag of `uota evaluate PROTOCOL`."""

from dataclasses import dataclass, field
from typing import Literal

from uota.ranges import check_multiple, check_settings

# Learning rates are given for batches of so many images, and scaled in proportion to the batch.
BATCH_OF_RATES = 256
# Of the linear classifier, by method, where a paper tells: He et al. (2020) and those after it; SwAV's released code.
LINEAR_RATES = {"moco_v1": 30.0, "moco_v2": 30.0, "jcl": 30.0, "infomin": 30.0, "cmc": 30.0}
LINEAR_RATES |= {"swav": 0.3, "barlow_twins": 0.3, "simclr": 0.1}
RELEASED_UOTA_RATE = 1.2
# Of the encoder and of the classifier, by share of labels: SwAV's released code, whose rates for 10 % also serve 100 %.
FINETUNE_RATES = {"1%": (0.02, 5.0), "10%": (0.01, 0.2), "100%": (0.01, 0.2)}


@dataclass
class Origin:
    """Where an encoder comes from.

    Attributes:
        run: a run's folder, a file of weights (MoCo's, SwAV's, lightly's …), or a timm model, whose weights are fetched
        backbone: of a file of weights: tiny or any timm model; null: told by its tensors
        views: of a file of weights, the preset by which images are sized and normalised; auto: by its first layer
        pickle: read a file that holds more than tensors; such a file can run any code, so only if you trust it
    """

    run: str
    backbone: str | None = None
    views: str = "auto"
    pickle: bool = False


@dataclass
class NoSettings:
    """linear and knn have none."""


@dataclass
class LinearSGD:
    """Settings of the linear classifier that is trained on augmented images by SGD.

    Attributes:
        epochs: passes over the training images
        batch_size: images per step
        learning_rate: for 256 images, scaled to the batch; null: as for the method in its paper (released UOTA: 1.2)
        weight_decay: of the classifier
        momentum: of SGD
        smallest_crop: share of the image's area that a training crop has at least
        seed: of crops, order and the classifier's first weights
        workers: processes that load images; null: as many as are useful
        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch
    """

    epochs: int = 100
    batch_size: int = 256
    learning_rate: float | None = None
    weight_decay: float = 1e-6
    momentum: float = 0.9
    smallest_crop: float = 0.08
    seed: int = 0
    workers: int | None = None
    accelerator: str = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        check_settings(self)
        check_multiple(self)

    def rate(self, method: str | None, arbiter: str | None) -> float:
        """For 256 images: what was set, else the paper's of this method."""
        if self.learning_rate is not None:
            return self.learning_rate
        if method == "swav" and arbiter == "mahalanobis":
            return RELEASED_UOTA_RATE
        return LINEAR_RATES.get(method or "", LINEAR_RATES["swav"])


@dataclass
class Finetune:
    """Settings of fine-tuning the whole network on some of the labels.

    Attributes:
        labels: share of the training images that is used, the same of each class
        epochs: passes over these images
        batch_size: images per step
        learning_rate: of the encoder, for 256 images, scaled to the batch; null: by the share of labels, as SwAV
        head_learning_rate: of the classifier, likewise
        drops: shares of training at which both are multiplied by 0.2; none: a cosine
        weight_decay: of all
        momentum: of SGD
        smallest_crop: share of the image's area that a training crop has at least
        seed: of the choice of images, crops, order and the classifier's first weights
        workers: processes that load images; null: as many as are useful
        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch
    """

    labels: Literal["1%", "10%", "100%"] = "10%"
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float | None = None
    head_learning_rate: float | None = None
    drops: list[float] = field(default_factory=lambda: [0.6, 0.8])
    weight_decay: float = 0.0
    momentum: float = 0.9
    smallest_crop: float = 0.08
    seed: int = 0
    workers: int | None = None
    accelerator: str = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        check_settings(self)
        check_multiple(self)

    def rates(self) -> tuple[float, float]:
        """Of the encoder and of the classifier, for 256 images."""
        encoder, head = FINETUNE_RATES[self.labels]
        return (
            encoder if self.learning_rate is None else self.learning_rate,
            head if self.head_learning_rate is None else self.head_learning_rate,
        )


# By the name that `uota evaluate` knows a protocol by: its settings, and what it is.
SETTINGS: dict[str, tuple[type, str]] = {
    "linear": (NoSettings, "logistic regression on cached features: fast"),
    "knn": (NoSettings, "20 and 200 nearest neighbours by the cosine of cached features"),
    "linear-sgd": (LinearSGD, "a linear classifier trained by SGD on augmented images: what papers publish"),
    "finetune": (Finetune, "the whole network trained on 1 %, 10 % or all labels"),
}
