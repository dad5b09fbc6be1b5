"""Typed settings of the evaluation protocols. Every field is a flag of `uota evaluate PROTOCOL`."""

from dataclasses import dataclass, field, replace
from typing import Literal

from uota.settings.linear_protocols import LINEAR_PROTOCOLS, LinearProtocol, protocol_of
from uota.settings.ranges import check_multiple, check_settings

# Of the encoder and of the classifier, by share of labels: SwAV's README.md, whose rates for 10 % also serve 100 %.
FINETUNE_RATES = {"1%": (0.02, 5.0), "10%": (0.01, 0.2), "100%": (0.01, 0.2)}


@dataclass
class EncoderSpec:
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
    """Settings of a linear classifier that is trained on augmented images by a published protocol.

    Attributes:
        protocol: whose published linear evaluation to follow; auto: that of the run's method (swav with mahalanobis:
            uota; methods that published none, and weights from elsewhere: swav)
        epochs: passes over the training images; null: as in the protocol
        batch_size: images per step; null: as in the protocol
        learning_rate: for 256 images, scaled to the batch; null: as in the protocol
        weight_decay: of the classifier; null: as in the protocol
        momentum: of its optimiser; null: as in the protocol
        smallest_crop: share of the image's area that a training crop has at least; null: as in the protocol
        seed: of crops, order and the classifier's first weights
        workers: processes that load images; null: as many as are useful
        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch
    """

    protocol: Literal[
        "auto", "swav", "uota", "moco", "jcl", "simsiam", "byol", "simclr", "barlow_twins", "cmc", "infomin"
    ] = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    smallest_crop: float | None = None
    seed: int = 0
    workers: int | None = None
    accelerator: str = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        check_settings(self)
        if self.batch_size is not None:
            check_multiple(self.batch_size, self.devices)

    def decided(self, method: str | None, arbiter: str | None) -> "LinearSGD":
        """The settings with `auto` replaced by the protocol of a run's method and arbiter; None: of no run."""
        if self.protocol != "auto":
            return self
        return replace(self, protocol=protocol_of(method, arbiter))  # type: ignore[arg-type]

    def effective(self) -> LinearProtocol:
        """The protocol with its own values replaced by those that were set; `protocol` must not be `auto`."""
        names = ("epochs", "batch_size", "learning_rate", "weight_decay", "momentum", "smallest_crop")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(LINEAR_PROTOCOLS[self.protocol], **given)


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
        check_multiple(self.batch_size, self.devices)

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
    "linear-sgd": (LinearSGD, "a linear classifier trained on augmented images, by the method's published protocol"),
    "finetune": (Finetune, "the whole network trained on 1 %, 10 % or all labels"),
}
