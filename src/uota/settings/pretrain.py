"""Typed settings of a pretraining run, in six sections. Every field is a flag of `uota pretrain`."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from uota.errors import UotaError
from uota.settings.ranges import (
    RATE,
    check_multiple,
    check_pixel_range,
    check_settings,
    count_ranks,
    flat,
    flat_name,
)

# Decoded, an image may have so much: 89 megapixels of RGB, Pillow's own limit.
IMAGE_MEGABYTES = 256
# Options of methods as earlier versions named them.
OLD_OPTIONS = {name: {"parts": "ghost_batches"} for name in ("moco_v1", "moco_v2", "jcl", "infomin")}
# The longest name that is compared with those of settings, and shown whole.
LONGEST_NAME = 60
# Learning rate and images per step of a run from random weights.
RATE_FROM_RANDOM, BATCH_FROM_RANDOM = 2e-3, 128
# Eyes that are not frozen: what a run computes anyway. And the arbiter that a trial with frozen ones determines.
OWN_EYES = ("thumbnails", "features", "both", "embeddings")
CHOSEN = "chosen"
# Where what follows the crop of a view is done: see RuntimeSettings.
ViewsOn = Literal["auto", "cpu", "device"]
# How alike names must be for one to be suggested, by difflib's measure.
CLOSE = 0.7


@dataclass
class Reading:
    """How a command reads image files, where that differs from the run."""

    pixel_range: list[float] | None = None
    """Values that are black and white in images of more than 8 bits, such as [0, 4095]; null: the run's, or estimated
    from some of the images."""
    image_megabytes: int | None = None
    """Skip images that take more megabytes than this once decoded; null: the run's limit, or 256."""

    def __post_init__(self) -> None:
        check_settings(self)
        check_pixel_range(self.pixel_range)


@dataclass
class DataSettings:
    """What a run trains on."""

    source: str = field(default="demo-scenes", metadata=flat("data"))
    """A folder of images (with sub-folders as classes; without train/ and test/, a fifth of each class is kept for
    evaluation), tar shards (shards-{000..099}.tar, or their folder), a data set that Hugging Face's datasets saved to
    disk, the folder of Fashion-MNIST's original files, or one of demo-scenes, demo-scenes-colour and demo."""
    pixel_range: list[float] | None = None
    """Values that are black and white in images of more than 8 bits, such as [0, 4095]; null: estimated from some of
    the images, and written down."""
    image_megabytes: int = IMAGE_MEGABYTES
    """Skip images that take more megabytes than this once decoded."""
    cache: int | None = None
    """Train on images shrunk to a short side of this many pixels, and keep the shrunk ones as JPEG files, which are
    decoded much faster from the second time on; smaller images stay as they are. null: read every image from its
    file."""
    cache_in: str | None = None
    """Folder of the shrunk images, which runs can share, or ram: memory, until the run ends; null: ~/.cache/uota/shrunk
    (or uota/shrunk in XDG_CACHE_HOME)."""
    refile: bool | None = None
    """Of groups: judge all files before and during the training, move those that do not belong to the group where they
    do, and leave out those of which that is not certain (the files themselves stay where they are); null: for groups
    from given weights, in runs that show every file twice and more."""

    def __post_init__(self) -> None:
        check_settings(self)
        check_pixel_range(self.pixel_range)
        if self.cache_in is not None and self.cache is None:
            raise UotaError("cache_in is set and cache is not; give cache the side of shrunk images, such as 512")


@dataclass
class ViewSettings:
    """How views are made of an image."""

    preset: str = field(default="auto", metadata=flat("views"))
    """Preset of views, such as small, swav or mocov2 (a wrong name lists all of them). auto: by the data, and with an
    accelerator the method's own. groups: each lowest folder of the data holds images of one thing, which are its
    views."""
    local_views: int | None = None
    """Number of small views; null: the preset's."""
    size: int | list[int] | None = None
    """Side of the views in pixels: of the global ones, such as 96 (the local ones change in proportion), or of both,
    such as [96, 64]; null: the preset's."""
    mean: list[float] | None = None
    """Mean of each channel, by which views are normalised; null: of the weights that the encoder starts from, or else
    the preset's."""
    std: list[float] | None = None
    """Standard deviation of each channel; null: as for the mean."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict, metadata=flat("view_options"))
    """Changes to the preset, such as {local: {scale: [0.1, 0.3]}}; `uota inspect` suggests some."""
    inject: float = 0.0
    """Share of views that are replaced by views of another image, for experiments."""
    inject_from: Literal["strangers", "batch"] = "strangers"
    """Where injected views come from: images outside the batch (strangers) or inside it (batch)."""

    def __post_init__(self) -> None:
        check_settings(self)
        if isinstance(self.size, list) and len(self.size) not in (1, 2):
            raise UotaError(f"size is {self.size}; give the side of the global views, or of global and local ones")
        if (self.mean is None) != (self.std is None):
            raise UotaError("mean and std belong together; set both, or leave both out")
        if any(value <= 0 for value in self.std or []):
            raise UotaError(f"std is {self.std}; standard deviations must be above 0")

    @property
    def sides(self) -> list[int]:
        """The sides of `size` as a list; empty: the preset's."""
        return [] if self.size is None else [self.size] if isinstance(self.size, int) else self.size


@dataclass
class MethodSettings:
    """The method of self-supervised learning, and the network that it trains."""

    name: str = field(default="auto", metadata=flat("method"))
    """swav, simclr, … (`uota methods` lists them), or your own as package.module.Class, which no settings file may
    name. auto: byol from given weights, else swav; for groups simclr."""
    options: dict[str, Any] = field(default_factory=dict, metadata=flat("method_options"))
    """Options of the method, such as {prototypes: 3000}; the others depend on the size of the views."""
    init: str = "auto"
    """Weights that the encoder starts from: random; pretrained (the ImageNet weights of an EfficientNet-Lite0, which
    are installed along with uota); the name of a timm model, whose published weights are downloaded; a file of weights,
    as in uota evaluate; or the folder of an earlier run. auto: pretrained for colour images of 64 pixels and more
    (fewer than 100,000 with an accelerator) if no backbone is given, else random."""
    backbone: str = "auto"
    """tiny, or any timm model. auto: that of the initial weights; of random ones tiny for views of up to 64 pixels,
    else resnet50."""
    frozen_stages: int | None = None
    """Number of first stages of the backbone that keep their initial weights, which makes steps faster; null: 3 of the
    installed weights without an accelerator, else 0."""
    frozen_norms: bool | None = None
    """Keep the statistics of the encoder's batch norms instead of using those of batches; null: for given weights."""
    norm_adaptation: float | None = None
    """Share of the images' own statistics in those of the encoder's batch norms, which are mixed before the first step
    (AdaBN); null: 0.5 for given weights, else 0."""
    sync_batch_norm: bool | None = None
    """Compute batch statistics over all devices rather than on each; null: as published for the method."""
    zero_init_last: bool | None = None
    """Initialise the scale of the last batch norm in each block of a ResNet to 0 (true) or 1 (false); null: as the
    backbone does."""

    def __post_init__(self) -> None:
        check_settings(self)
        for old, new in OLD_OPTIONS.get(self.name, {}).items():
            if {old, new} <= self.options.keys():
                raise UotaError(f"the options {old} and {new} of {self.name} are the same; leave {old} out")
            self.options = {new if name == old else name: value for name, value in self.options.items()}


@dataclass
class ArbitrationSettings:
    """How views are weighted."""

    arbiter: Literal["auto", "chosen", "cohort", "learned", "two_groups", "mahalanobis", "none"] = "auto"
    """chosen (in a short trial at the start: what best finds views that were exchanged on purpose), cohort (cosines to
    the image's other views, compared with those to other images), learned (a small head trained along with the
    encoder), two_groups (a mixture fitted to contrasts), mahalanobis (the UOTA paper's), or none. auto: chosen for
    frozen eyes, else learned."""
    eyes: str = "auto"
    """What the arbiter sees a view with. Frozen eyes are pretrained (the ImageNet weights that are installed along with
    uota), the name of a timm model, whose weights are downloaded, a file of weights, or the folder of a run. The others
    are thumbnails (small pixels and edges, before any encoder), and of the encoder that is trained its features, both
    of these, or its embeddings. auto: pretrained for views of 64 pixels and more if that costs less than about half a
    step, else thumbnails (features for groups); embeddings for two_groups and mahalanobis, thumbnails for learned."""
    weighted_side: Literal["auto", "predictor", "both"] = "auto"
    """Whether weights apply to the predicting view of a pair or to both. auto: predictor for mahalanobis, else both."""
    start: float | None = None
    """Share of training during which weights stay uniform; null: 0.5 for mahalanobis, else 0."""
    tau: float | None = None
    """Temperature of mahalanobis; null: 2.7 times the dimension of the embeddings, as released."""
    ess: float | None = None
    """Effective sample size, as a share of the views, from which to find the temperature of mahalanobis, instead of
    tau."""
    anchors: int | None = None
    """Number of leading views from which the centres of mahalanobis are computed (the released code: 2); null: all."""
    covariance: Literal["empirical", "oas", "ledoit_wolf"] = "empirical"
    """Estimator of the covariance of mahalanobis."""
    candidates: int = 1
    """Make this many times the views that are encoded, and keep those that probably show their image, judged by their
    thumbnails; the arbiter weighs the ones kept (with arbiter none they are selected, but not weighted)."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.tau is not None and self.ess is not None:
            raise UotaError("tau and ess are both set; give one, the other follows from it")
        if self.arbiter == "none" and self.eyes not in ("auto", "embeddings"):
            raise UotaError(f"eyes are {self.eyes} and the arbiter is none, which looks at nothing; leave them out")
        if self.arbiter == CHOSEN and self.eyes in OWN_EYES:
            raise UotaError(f"eyes are {self.eyes} and the arbiter is {CHOSEN}, which needs frozen ones; leave one out")
        paper_only = [name for name in ("tau", "ess", "anchors") if getattr(self, name) is not None]
        if paper_only and self.arbiter != "mahalanobis":
            raise UotaError(f"{paper_only[0]} is set and the arbiter is {self.arbiter}; it goes with mahalanobis only")

    @property
    def has_frozen_eyes(self) -> bool:
        """Whether the arbiter sees with an encoder that is not trained."""
        return self.eyes not in ("auto", *OWN_EYES)


@dataclass
class OptimizationSettings:
    """Length of the training, optimiser and learning rate."""

    epochs: int | None = None
    """Length in passes over the images, instead of --steps; null: 12 where --steps is not given."""
    steps: int | None = None
    """Length in steps, over as many passes as needed, the last one possibly partial; null: as --epochs says."""
    batch_size: int | None = None
    """Images per step, over all devices; null: 64 from given weights without an accelerator, else 128."""
    accumulate: int = 1
    """Parts in which the images of each device are embedded, so that a step needs the memory of one part; arbiter and
    loss see the whole batch. Each part is embedded twice (GradCache), which takes about a third longer. Batch norm sees
    one part at a time, and so its statistics are those of fewer images; other networks train as with 1."""
    optimizer: str = "adamw"
    """lars (as in BYOL and Barlow Twins), lars_simclr (with the learning rate inside the momentum), larc (as in SwAV,
    without clipping), or any of timm's: adamw, momentum (classical SGD), sgd (Nesterov's), …"""
    learning_rate: float | None = None
    """Peak learning rate; null: 1e-3 from given weights, else 2e-3."""
    encoder_rate: float | None = None
    """Learning rate of the encoder, relative to that of the heads; null: 0.2 from given weights, else 1."""
    kept_share: float | None = None
    """Share of the weights that the encoder starts from in those at the end, a mean of both (WiSE-FT); null: 0.7 (of
    groups 0.35) from given weights in at most 1,000 steps whose rates are left open, else 0."""
    final_learning_rate: float = 0.0
    """Learning rate at the end of the cosine."""
    rate_per: Literal["step", "epoch", "epoch_end"] = "step"
    """Whether the learning rate changes every step or, after the warm-up, every epoch (a pass over the images); an
    epoch has the schedule's value at its first step (epoch) or after its last (epoch_end)."""
    bias_rate: float = 1.0
    """Learning rate of biases and norms, relative to that of weights."""
    constant_rate: list[str] = field(default_factory=list)
    """Names of the method's parts whose learning rate stays constant, such as [predictor]."""
    warmup: float = 0.1
    """Share of training during which the learning rate rises linearly from zero."""
    warmup_steps: int | None = None
    """Length of the warm-up in steps, instead of the share; null: as --warmup says."""
    drops: list[float] = field(default_factory=list)
    """Shares of training at which the learning rate is divided by 10, instead of the cosine."""
    late_factor: float = 1.0
    """Multiplies the learning rate once arbitration has started (released recipe: 2)."""
    weight_decay: float = 1e-4
    """Weight decay of weights."""
    decay_all: bool = False
    """Apply weight decay, and the adaptive rate of lars and larc, to biases and norms too."""
    momentum: float = 0.9
    """Momentum of SGD, lars and larc; β₁ of adam and adamw."""

    def __post_init__(self) -> None:
        check_settings(self, learning_rate=RATE)  # at 0 the arbiter learns, and the encoder does not
        if self.epochs is not None and self.steps is not None:
            raise UotaError("epochs and steps are both set; give one, and null for one that a file sets")

    @property
    def peak(self) -> float:
        """The learning rate, or that from random weights if it is left open."""
        return RATE_FROM_RANDOM if self.learning_rate is None else self.learning_rate

    @property
    def batch(self) -> int:
        """Images per step, or those from random weights if they are left open."""
        return BATCH_FROM_RANDOM if self.batch_size is None else self.batch_size

    def total_steps(self, epoch_steps: int) -> int:
        """Number of steps of the whole run.

        Args:
            epoch_steps: number of steps of a pass over the images.

        Raises:
            UotaError: neither epochs nor steps is set, which `uota.training.resolve` does.
        """
        if self.steps is not None:
            return self.steps
        if self.epochs is not None:
            return self.epochs * epoch_steps
        raise UotaError("neither epochs nor steps is set; give one of them")


@dataclass
class RuntimeSettings:
    """Where and how a run is computed."""

    seed: int = 0
    """Seed of everything random."""
    accelerator: str = "auto"
    """auto, cpu, gpu, …"""
    devices: int | Literal["auto"] = 1
    """Number of devices of each node, with one process each, that share the batch. auto: all accelerators, or one CPU.
    torchrun and srun have started the processes already: leave it out then."""
    nodes: int = 1
    """Number of machines, on each of which torchrun or srun starts the same command."""
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    """What several devices share: ddp, the batch; fsdp2, also the weights, gradients and the optimiser's state, each
    of which holds a part (for networks that are too large for one device)."""
    precision: Literal["32", "bf16", "fp16", "64"] = "32"
    """Precision of the computation: 32 bits; bfloat16 or half precision where that is safe (fp16, which needs an NVIDIA
    GPU, scales the loss, and skips steps whose gradients overflow); or 64 bits, for comparisons free of rounding.
    Arbiters compute in 32 bits or more in any case."""
    workers: int | None = None
    """Processes that load images; null: as many as are useful."""
    views_on: ViewsOn = "auto"
    """Where jitter, blur and the other operations after the crop are done: by the processes that load images (cpu), or
    for a whole batch on the device of the training, where the next batch is made during a step. Both give the same
    views. auto: device, unless the accelerator is the CPU."""
    threads: int | None = None
    """CPU threads of each process; null: torch's choice."""
    checkpoint_activations: bool = False
    """Keep the activations between the encoder's blocks only, and compute those within a block again in the backward
    pass: less memory for more time."""
    compile: bool = False
    """Compile encoder and heads with torch.compile and, on one device, the loss and the arbiter."""
    checkpoint_every: int = 100
    """Steps between checkpoints; there is another at the end and on Ctrl-C."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def ranks(self) -> int:
        """Number of processes on all nodes."""
        return count_ranks(self.devices, self.nodes)


@dataclass
class Pretrain:
    """Settings of a pretraining run."""

    data: DataSettings = field(default_factory=DataSettings)
    views: ViewSettings = field(default_factory=ViewSettings)
    method: MethodSettings = field(default_factory=MethodSettings)
    arbitration: ArbitrationSettings = field(default_factory=ArbitrationSettings)
    optimization: OptimizationSettings = field(default_factory=OptimizationSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)

    def __post_init__(self) -> None:
        for name, kind in SECTIONS.items():
            if not isinstance(getattr(self, name), kind):
                raise UotaError(f"{name} is a section; give a {kind.__name__}, or use Pretrain.from_flat({name}=...)")
        if self.optimization.batch_size is not None:
            check_multiple(self.optimization.batch_size, self.runtime.devices, self.runtime.nodes)

    @classmethod
    def from_flat(cls, **values: Any) -> "Pretrain":
        """Settings by their flat names, such as `Pretrain.from_flat(data="photos", learning_rate=0.1)`.

        Raises:
            UotaError: a name is unknown, a setting is given twice, or a value is out of its range.
        """
        return cls().replace_flat(**values)

    def replace_flat(self, **values: Any) -> "Pretrain":
        """The same settings, with others for those that are given by their flat names.

        Raises:
            UotaError: a name is unknown, a setting is given twice, or a value is out of its range.
        """
        changes = nest(values)
        return replace(self, **{name: replace(getattr(self, name), **each) for name, each in changes.items()})

    def as_flat(self) -> dict[str, Any]:
        """The settings by their flat names."""
        return {name: getattr(getattr(self, section), key) for name, (section, key) in FLAT.items()}

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values in their sections, for a file."""
        return asdict(self)

    @property
    def is_of_older_version(self) -> bool:
        """Whether a run's settings were written before optimisers, heads and batch norms were the papers'.

        Since then every run has recorded whether it synchronises batch norm.
        """
        return self.method.sync_batch_norm is None


SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "views": ViewSettings,
    "method": MethodSettings,
    "arbitration": ArbitrationSettings,
    "optimization": OptimizationSettings,
    "runtime": RuntimeSettings,
}
# The section and the field of each setting, by its flat name.
FLAT: dict[str, tuple[str, str]] = {
    flat_name(each): (section, each.name) for section, kind in SECTIONS.items() for each in fields(kind)
}
# And the other way round.
NAMES = {place: name for name, place in FLAT.items()}
# Names in settings files and flags of earlier versions.
OLD_NAMES = {"look": "eyes", "arbiter_input": "eyes", "weigh": "weighted_side"}
# And names within their sections.
OLD_PLACES = {"arbitration.input": FLAT["eyes"]}

# The section and the field of each setting by any of its names, such as learning_rate and optimization.learning_rate.
PLACES = FLAT | {old: FLAT[new] for old, new in OLD_NAMES.items()} | {".".join(place): place for place in NAMES}
PLACES |= OLD_PLACES


def nest(values: Mapping[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    """Settings in sections, from flat ones as earlier versions wrote them, nested ones, or both.

    A section's name is also that of a flat setting if its value is no mapping: `data: FOLDER` is `data.source: FOLDER`,
    and leaves the section's other settings as they are.

    Args:
        values: by section or by any name of a setting.
        others: names that may stand beside settings, and stay where they are.

    Raises:
        UotaError: a name is unknown, or a setting is given twice.
    """
    nested: dict[str, Any] = {name: values[name] for name in others if name in values}
    written: dict[tuple[str, str], str] = {}
    for name, value in _each_setting({name: values[name] for name in values if name not in others}):
        place = _place_of(name)
        if place in written:
            raise UotaError(f"{written[place]} and {name} are the same setting; leave one of them out")
        written[place] = name
        section, key = place
        nested.setdefault(section, {})[key] = value
    return nested


def _each_setting(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting's name, of those in sections with the section before it, and its value."""
    for name, value in values.items():
        if name in SECTIONS and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        else:
            yield str(name), value


def _place_of(name: str) -> tuple[str, str]:
    """The section and the field of a setting by any of its names.

    Raises:
        UotaError: there is no such setting.
    """
    if name in PLACES:
        return PLACES[name]
    if len(name) > LONGEST_NAME:
        raise UotaError(f"there is no setting {name[:LONGEST_NAME]}...; see `uota pretrain --help`")
    raise UotaError(f"there is no setting {name}; {_right_name(name)}")


def _right_name(name: str) -> str:
    """What to write instead of an unknown name of a setting."""
    section, _, key = name.partition(".")
    keys = [each for its_section, each in NAMES if its_section == section]
    if name in SECTIONS:
        return f"it is a section; give it a mapping with any of {', '.join(keys)}"
    if section in SECTIONS and key in PLACES:
        return f"write {'.'.join(PLACES[key])}"
    if section in SECTIONS:
        nearest = get_close_matches(key, keys, 1, CLOSE)
        return f"the nearest is {section}.{nearest[0]}" if nearest else f"{section} has {', '.join(keys)}"
    nearest = get_close_matches(name, [*PLACES, *SECTIONS], 1, CLOSE)
    return f"the nearest is {nearest[0]}" if nearest else "see `uota pretrain --help`"
