"""Typed settings of a pretraining run. Every field is a flag of `uota pretrain` and a line of its YAML file."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from uota.errors import UotaError

DEMO_EPOCHS = 7
AT_LEAST_ONE = ("epochs", "batch_size", "candidates", "checkpoint_every", "devices")


@dataclass
class Pretrain:
    """Settings of a pretraining run.

    Attributes:
        data: demo-scenes, demo-scenes-colour, demo, a folder of images (with sub-folders as classes, and no train/ and
            test/, a fifth of each class is kept for evaluation), or the folder of Fashion-MNIST's original files; tar
            shards (shards-{000..099}.tar, or their folder), or what Hugging Face's datasets saved to disk
        method: swav, simclr, … (`uota methods` lists them), or your own: package.module.Class; auto: swav, of groups
            simclr
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

        look: what the arbiter sees of a view: thumbnails (small pixels and edges, before any encoder), features (the
            encoder's), both, or embeddings; auto: thumbnails for learned (of groups: features), else embeddings
        weigh: the predicting view of a pair or both; auto: predictor for mahalanobis, else both
        start: share of training before which weights are uniform; null: 0.5 for mahalanobis, else 0
        tau: temperature of mahalanobis; null: 2.7 times the embedding dimension, as released
        ess: effective sample size to find the temperature for, instead of tau
        anchors: centres from the first so many views (the released code: 2); null: from all
        covariance: of mahalanobis

        method_options: the method's own, such as {prototypes: 3000}; the rest is chosen by the size of views
        optimizer: any of timm: adamw, sgd, lars, larc, …
        learning_rate: at the top of the schedule
        final_learning_rate: at the end of the cosine
        warmup_steps: linear from zero
        drops: shares of training at which the rate is divided by 10, instead of the cosine
        late_factor: multiplies the learning rate once arbitration has started (released recipe: 2)
        weight_decay: not applied to biases and norms
        momentum: of sgd, lars and larc

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

    look: Literal["auto", "thumbnails", "features", "both", "embeddings"] = "auto"
    weigh: Literal["auto", "predictor", "both"] = "auto"
    start: float | None = None
    tau: float | None = None
    ess: float | None = None
    anchors: int | None = None
    covariance: Literal["empirical", "oas", "ledoit_wolf"] = "empirical"

    method_options: dict[str, Any] = field(default_factory=dict)
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.0
    warmup_steps: int = 60
    drops: list[float] = field(default_factory=list)
    late_factor: float = 1.0
    weight_decay: float = 1e-4
    momentum: float = 0.9

    accelerator: str = "auto"
    devices: int = 1
    precision: Literal["32", "bf16", "64"] = "32"
    threads: int | None = None
    compile: bool = False
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        refuse_below_one(self, *AT_LEAST_ONE)
        refuse_no_shares(self.drops)
        if self.batch_size % self.devices:
            raise UotaError(f"batch_size {self.batch_size} is no multiple of devices {self.devices}; make it one")
        if not 0 <= self.inject < 1:
            raise UotaError(f"inject is {self.inject}; it is a share of the views, from 0 to below 1")
        if self.tau is not None and self.ess is not None:
            raise UotaError("tau and ess are both set; give one, the other follows from it")
        if self.arbiter == "none" and self.look not in ("auto", "embeddings"):
            raise UotaError(f"look is {self.look} and the arbiter is none, which looks at nothing; leave look out")
        paper_only = [name for name in ("tau", "ess", "anchors") if getattr(self, name) is not None]
        if paper_only and self.arbiter != "mahalanobis":
            raise UotaError(f"{paper_only[0]} is set and the arbiter is {self.arbiter}; it goes with mahalanobis only")
        if self.start is not None and not 0 <= self.start <= 1:
            raise UotaError(f"start is {self.start}; it is a share of training, from 0 to 1")

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for a file."""
        return asdict(self)


def refuse_below_one(settings: Any, *names: str) -> None:
    """Refuse a number of nothing, by its name."""
    for name in names:
        if getattr(settings, name) < 1:
            raise UotaError(f"{name} is {getattr(settings, name)}; it must be at least 1")


def refuse_no_shares(drops: list[float]) -> None:
    """Refuse drops of the learning rate that lie outside training."""
    if any(not 0 < drop < 1 for drop in drops):
        raise UotaError(f"drops are {drops}; they are shares of training, between 0 and 1")
