"""Typed settings of the evaluation protocols. Every field is a flag of `uota evaluate PROTOCOL`."""

from dataclasses import dataclass, field, replace
from typing import Literal

from uota.settings.linear_protocols import LINEAR_PROTOCOLS, LinearProtocol, protocol_of
from uota.settings.pretrain import ViewsOn
from uota.settings.ranges import check_multiple, check_settings

# Of the encoder and of the classifier, by share of labels: SwAV's README.md, whose rates for 10 % also serve 100 %.
FINETUNE_RATES = {"1%": (0.02, 5.0), "10%": (0.01, 0.2), "100%": (0.01, 0.2)}


@dataclass
class EncoderSpec:
    """Where to load an encoder from."""

    run: str
    """Folder of a run, a file of weights (MoCo's, SwAV's, lightly's, …), pretrained (the ImageNet weights that are
    installed along with uota), or the name of a timm model, whose weights are downloaded."""
    backbone: str | None = None
    """Backbone of a file of weights: tiny or any timm model; null: inferred from its tensors."""
    views: str = "auto"
    """For a file of weights, the preset that gives the size and normalisation of images; auto: by its first layer."""
    pickle: bool = False
    """Read a file that holds more than tensors. Such a file can run any code, so do this only if you trust it."""


@dataclass
class NoSettings:
    """The settings of linear and knn, which have none."""


@dataclass
class LinearSGD:
    """Settings of a linear classifier trained on augmented images by a published protocol."""

    protocol: Literal[
        "auto", "swav", "uota", "moco", "jcl", "simsiam", "byol", "simclr", "barlow_twins", "cmc", "infomin"
    ] = "auto"
    """Method whose published linear evaluation to follow. auto: the run's method, or uota for swav with mahalanobis;
    swav for methods that published none and for weights from elsewhere."""
    epochs: int | None = None
    """Passes over the training images; null: the protocol's."""
    batch_size: int | None = None
    """Images per step, over all devices; null: the protocol's."""
    learning_rate: float | None = None
    """Learning rate for 256 images, scaled to the batch; null: the protocol's."""
    weight_decay: float | None = None
    """Weight decay of the classifier; null: the protocol's."""
    momentum: float | None = None
    """Momentum of SGD; null: the protocol's."""
    smallest_crop: float | None = None
    """Smallest share of the image's area that a training crop has; null: the protocol's."""
    seed: int = 0
    """Seed of crops, order and the classifier's initial weights."""
    workers: int | None = None
    """Processes that load images; null: as many as are useful."""
    accelerator: str = "auto"
    """auto, cpu, gpu, …"""
    devices: int | Literal["auto"] = 1
    """Number of devices of each node, with one process each, that share the batch. auto: all accelerators, or one CPU.
    torchrun and srun have started the processes already: leave it out then."""
    nodes: int = 1
    """Number of machines, on each of which torchrun or srun starts the same command."""
    views_on: ViewsOn = "auto"
    """Where training crops become normalised numbers: in the processes that load images (cpu), or on the device of the
    training, which then gets a quarter of the bytes; auto: device, unless the accelerator is the CPU."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.batch_size is not None:
            check_multiple(self.batch_size, self.devices, self.nodes)

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
    """Settings of fine-tuning the whole network on some of the labels."""

    labels: Literal["1%", "10%", "100%"] = "10%"
    """Share of the training images to use, the same of each class."""
    epochs: int = 20
    """Passes over these images."""
    batch_size: int = 256
    """Images per step, over all devices."""
    learning_rate: float | None = None
    """Learning rate of the encoder for 256 images, scaled to the batch; null: SwAV's for the share of labels."""
    head_learning_rate: float | None = None
    """Learning rate of the classifier for 256 images, scaled to the batch; null: SwAV's for the share of labels."""
    drops: list[float] = field(default_factory=lambda: [0.6, 0.8])
    """Shares of training at which both learning rates are multiplied by 0.2; if empty, they follow a cosine."""
    weight_decay: float = 0.0
    """Weight decay of all parameters."""
    momentum: float = 0.9
    """Momentum of SGD."""
    smallest_crop: float = 0.08
    """Smallest share of the image's area that a training crop has."""
    seed: int = 0
    """Seed of the choice of images, crops, order and the classifier's initial weights."""
    workers: int | None = None
    """Processes that load images; null: as many as are useful."""
    accelerator: str = "auto"
    """auto, cpu, gpu, …"""
    devices: int | Literal["auto"] = 1
    """Number of devices of each node, with one process each, that share the batch. auto: all accelerators, or one CPU.
    torchrun and srun have started the processes already: leave it out then."""
    nodes: int = 1
    """Number of machines, on each of which torchrun or srun starts the same command."""
    views_on: ViewsOn = "auto"
    """Where training crops become normalised numbers: in the processes that load images (cpu), or on the device of the
    training, which then gets a quarter of the bytes; auto: device, unless the accelerator is the CPU."""

    def __post_init__(self) -> None:
        check_settings(self)
        check_multiple(self.batch_size, self.devices, self.nodes)

    def rates(self) -> tuple[float, float]:
        """Return the learning rates of the encoder and of the classifier, for 256 images."""
        encoder, head = FINETUNE_RATES[self.labels]
        return (
            encoder if self.learning_rate is None else self.learning_rate,
            head if self.head_learning_rate is None else self.head_learning_rate,
        )


# By the name that `uota evaluate` knows a protocol by: its settings, and what it is.
SETTINGS: dict[str, tuple[type, str]] = {
    "linear": (NoSettings, "logistic regression on cached features: fast"),
    "knn": (NoSettings, "the 20 and the 200 nearest neighbours by cosine similarity of cached features"),
    "linear-sgd": (LinearSGD, "a linear classifier trained on augmented images, by the method's published protocol"),
    "finetune": (Finetune, "the whole network trained on 1 %, 10 % or all labels"),
}
