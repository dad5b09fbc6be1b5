"""Typed settings of a pretraining run. Every field is a flag of `uota pretrain` and a line of its YAML file."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from uota.errors import UotaError
from uota.settings.ranges import RATE, check_multiple, check_pixel_range, check_settings

DEMO_EPOCHS = 7
# Decoded, an image may have so much: 89 megapixels of RGB, Pillow's own limit.
IMAGE_MEGABYTES = 256


@dataclass
class Reading:
    """How image files are read, where it shall not be as in the run.

    Attributes:
        pixel_range: values that are black and white in images of more than 8 bits, such as [0, 4095]; null: the run's,
            or estimated from some of them
        image_megabytes: larger images, decoded, are not read; null: the run's, or 256
    """

    pixel_range: list[float] | None = None
    image_megabytes: int | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        check_pixel_range(self.pixel_range)


@dataclass
class Pretrain:
    """Settings of a pretraining run.

    Attributes:
        data: demo-scenes, demo-scenes-colour, demo, a folder of images (with sub-folders as classes, and no train/ and
            test/, a fifth of each class is kept for evaluation), or the folder of Fashion-MNIST's original files; tar
            shards (shards-{000..099}.tar, or their folder), or what Hugging Face's datasets saved to disk
        method: swav, simclr, … (`uota methods` lists them), or your own: package.module.Class, which no file may name;
            auto: swav, of groups simclr
        arbiter: what weighs views: learned (a small head that learns to tell while the run trains), two_groups (by
            the embeddings), mahalanobis (the paper's), or none
        backbone: tiny, or any timm model; auto: tiny up to 64 pixels, else resnet50
        epochs: passes over the images
        batch_size: images per step, over all devices
        seed: everything random follows from it

        views: preset of views, such as small, swav or mocov2 (a wrong name lists all); auto: by the data, and on an
            accelerator the method's own; groups: each lowest folder of data holds images of one thing, its views
        local_views: number of small views; null: the preset's
        view_options: changes to the preset's views, such as {local: {scale: [0.1, 0.3]}} (`uota inspect` suggests some)
        candidates: make so many times the views that are encoded, and keep those that likely show their image, judged
            on thumbnails; the arbiter weighs what is kept (arbiter none: choose only)
        inject: share of views replaced by views of another image, for experiments
        inject_from: strangers to the batch, or images of the same batch
        workers: processes that load images; null: as many as are useful
        pixel_range: values that are black and white in images of more than 8 bits, such as [0, 4095]; null: estimated
            from some of them, and written down
        image_megabytes: larger images, decoded, are not read

        look: what the arbiter sees of a view: thumbnails (small pixels and edges, before any encoder), features (the
            encoder's), both, or embeddings; auto: thumbnails for learned (of groups: features), else embeddings
        weigh: the predicting view of a pair or both; auto: predictor for mahalanobis, else both
        start: share of training before which weights are uniform; null: 0.5 for mahalanobis, else 0
        tau: temperature of mahalanobis; null: 2.7 times the embedding dimension, as released
        ess: effective sample size to find the temperature for, instead of tau
        anchors: centres from the first so many views (the released code: 2); null: from all
        covariance: of mahalanobis

        method_options: the method's own, such as {prototypes: 3000}; the rest is chosen by the size of views
        sync_batch_norm: compute batch statistics over all devices, not on each; null: as published for the method
        zero_init_last: initialise the scale of the last batch norm in each block of a ResNet to 0, not to 1; null: as
            the backbone does

        optimizer: lars (as in BYOL and Barlow Twins), lars_simclr (with the learning rate inside the momentum), larc
            (as in SwAV, without clipping), or any of timm's: adamw, momentum (classical SGD), sgd (Nesterov's), …
        learning_rate: at the top of the schedule
        final_learning_rate: at the end of the cosine
        rate_per: whether the learning rate changes every step or, after the warm-up, every epoch; an epoch has the
            schedule's value at its first step (epoch) or after its last (epoch_end)
        bias_rate: learning rate of biases and norms, relative to that of weights
        constant_rate: names of the method's parts with a constant learning rate, such as [predictor]
        warmup_steps: linear from zero, changing every step
        drops: shares of training at which the rate is divided by 10, instead of the cosine
        late_factor: multiplies the learning rate once arbitration has started (released recipe: 2)
        weight_decay: of weights
        decay_all: apply weight decay, and the adaptive rate of lars and larc, to biases and norms too
        momentum: of SGD, lars and larc; β₁ of adam and adamw

        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch
        precision: of the computation; 64 bits are for comparisons free of rounding
        threads: CPU threads of each process; null: torch's choice
        compile: compile the encoder with torch.compile
        checkpoint_every: steps between checkpoints; another at the end and on Ctrl-C
    """

    data: str = "demo-scenes"
    method: str = "auto"
    arbiter: Literal["learned", "two_groups", "mahalanobis", "none"] = "learned"
    backbone: str = "auto"
    epochs: int = 12
    batch_size: int = 128
    seed: int = 0

    views: str = "auto"
    local_views: int | None = None
    view_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    candidates: int = 1
    inject: float = 0.0
    inject_from: Literal["strangers", "batch"] = "strangers"
    workers: int | None = None
    pixel_range: list[float] | None = None
    image_megabytes: int = IMAGE_MEGABYTES

    look: Literal["auto", "thumbnails", "features", "both", "embeddings"] = "auto"
    weigh: Literal["auto", "predictor", "both"] = "auto"
    start: float | None = None
    tau: float | None = None
    ess: float | None = None
    anchors: int | None = None
    covariance: Literal["empirical", "oas", "ledoit_wolf"] = "empirical"

    method_options: dict[str, Any] = field(default_factory=dict)
    sync_batch_norm: bool | None = None
    zero_init_last: bool | None = None

    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.0
    rate_per: Literal["step", "epoch", "epoch_end"] = "step"
    bias_rate: float = 1.0
    constant_rate: list[str] = field(default_factory=list)
    warmup_steps: int = 60
    drops: list[float] = field(default_factory=list)
    late_factor: float = 1.0
    weight_decay: float = 1e-4
    decay_all: bool = False
    momentum: float = 0.9

    accelerator: str = "auto"
    devices: int = 1
    precision: Literal["32", "bf16", "64"] = "32"
    threads: int | None = None
    compile: bool = False
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        check_settings(self, learning_rate=RATE)  # at 0 the arbiter learns, and the encoder does not
        check_multiple(self)
        check_pixel_range(self.pixel_range)
        if self.tau is not None and self.ess is not None:
            raise UotaError("tau and ess are both set; give one, the other follows from it")
        if self.arbiter == "none" and self.look not in ("auto", "embeddings"):
            raise UotaError(f"look is {self.look} and the arbiter is none, which looks at nothing; leave look out")
        paper_only = [name for name in ("tau", "ess", "anchors") if getattr(self, name) is not None]
        if paper_only and self.arbiter != "mahalanobis":
            raise UotaError(f"{paper_only[0]} is set and the arbiter is {self.arbiter}; it goes with mahalanobis only")

    @property
    def is_of_older_version(self) -> bool:
        """Whether a run's settings were written before optimisers, heads and batch norms were the papers'.

        Since then every run has decided how batch norm is synchronised.
        """
        return self.sync_batch_norm is None

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for a file."""
        return asdict(self)
