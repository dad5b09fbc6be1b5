"""Training end to end compared with lightly: python -m benchmarks.peers  (half an hour on an idle machine)

speed: images per second and peak memory from JPEG files to the optimiser's step, with a ResNet-18, 32 images a step,
    2 loading processes and 2 threads: SimCLR (2 views of 96 pixels) and SwAV (2 of 96 and 6 of 48) on 1,200 JPEGs of
    500 pixels made from the Tux Paint stamps. uota with the learned arbiter, uota without an arbiter, and lightly's
    transforms, modules and losses as in its plain PyTorch examples take turns, each in its own process; the figures are
    medians of three rounds.
accuracy: seconds of training until kNN top-1 on the demo's garments reaches 80 %, for SimCLR with the same small
    encoder, projector, temperature, crops, jitter, optimiser and learning rate.

The results go to benchmarks/results/peers.json. `once WHO METHOD` and `until WHO` make one measurement and print it.
The stamps are those of the Debian package tuxpaint-stamps-default.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, NamedTuple

import torch
from lightly.transforms import SimCLRTransform, SwaVTransform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.command_line import RESULTS, Parser, make_parser, parse, start
from benchmarks.images import first_images, smooth_images
from benchmarks.lightly_steps import STEPS
from uota import UotaError
from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.evaluation import encoder_features, evaluate_knn
from uota.io.atomic import write_text_atomically
from uota.losses import ViewWeights
from uota.methods import Step
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.batches import GlobalBatches
from uota.training.loader import Loader
from uota.training.resolve import resolve_auto
from uota.training.setup import build_module
from uota.views import PRESETS, ViewDataset, ViewPipeline, ViewPreset, identity_collate

DEMO_BATCH = 128
STAMPS, JPEGS, COUNT, SIDE = Path("/usr/share/tuxpaint/stamps"), Path("runs/benchmark-peers/images"), 1200, 500
OUT = RESULTS / "peers.json"
ROUNDS, DEMO_WORKERS = 3, 2
PEERS, METHODS_TIMED = ("uota", "uota without an arbiter", "lightly"), ("simclr", "swav")
SIZES = {"simclr": (96,), "swav": (96, 48)}
GOAL, RATE = 80.0, 3e-3
# As in lightly's example.
SIMCLR = {"hidden": 2048, "dim": 128, "temperature": 0.1}


class Size(NamedTuple):
    """How large the measurements are.

    Attributes:
        jpegs: folder of the pictures.
        backbone: of the encoder.
        batch: images per step.
        warm_up, timed: steps that are not timed, and that are.
        workers: processes that load images.
        images: of the demo; None: all.
        epochs: at most, until the goal is reached.
        threads: that compute.
    """

    jpegs: Path = JPEGS
    backbone: str = "resnet18"
    batch: int = 32
    warm_up: int = 2
    timed: int = 10
    workers: int = 2
    images: int | None = None
    epochs: int = 12
    threads: int = 2


FULL = Size()


def make_jpegs() -> None:
    """Write the stamps on white, enlarged to `SIDE`, each at several angles."""
    if JPEGS.exists():
        return
    if not STAMPS.is_dir():
        raise UotaError(f"there are no stamps in {STAMPS}; install them: apt-get install tuxpaint-stamps-default")
    stamps = sorted(path for path in STAMPS.rglob("*.png") if "mirror" not in path.name)
    unfinished = JPEGS.with_name("unfinished") / "all"
    unfinished.mkdir(parents=True)
    for number in range(COUNT):
        with Image.open(stamps[number % len(stamps)]) as stamp:
            layer = stamp.convert("RGBA").rotate(7 * (number // len(stamps)), expand=True)
        scale = SIDE / max(layer.size)
        layer = layer.resize((max(96, round(layer.width * scale)), max(96, round(layer.height * scale))))
        Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB").save(
            unfinished / f"{number:04}.jpg", quality=90
        )
    unfinished.parent.rename(JPEGS)


def resized(name: str) -> ViewPreset:
    """Return the views of a method, of the sizes in `SIZES`."""
    preset = PRESETS[name]
    groups = [replace(group, size=size) for group, size in zip(preset.sizes, SIZES[name], strict=True)]
    return replace(preset, sizes=tuple(groups))


def forever(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield batches, epoch after epoch."""
    while True:
        yield from loader


def on_thumbnails(settings: Pretrain) -> Pretrain:
    """Let the arbiter, if there is one, look at thumbnails."""
    return settings if settings.arbitration.arbiter == "none" else settings.replace_flat(eyes="thumbnails")


def our_training(name: str, arbiter: str, size: Size) -> Callable[[], None]:
    """Return a step from files to weights, as `uota pretrain` makes it."""
    asked = {"method": name, "arbiter": arbiter, "backbone": size.backbone, "batch_size": size.batch, "views": name}
    settings, source, done = Pretrain.from_flat(data=str(size.jpegs), **asked), open_source(size.jpegs), [0]  # type: ignore[arg-type]
    settings = on_thumbnails(resolve_auto(settings, source)).replace_flat(optimizer="sgd")
    module = build_module(settings, 10_000)
    dataset = ViewDataset(source, ViewPipeline(resized(name), 0))
    batches = GlobalBatches(len(source), size.batch, 0, 0, 1, lambda: done[0])
    persistent = size.workers > 0
    loader = Loader(
        dataset, size.workers, batch_sampler=batches, collate_fn=identity_collate, persistent_workers=persistent
    )
    optimizer, stream = module.configure_optimizers(), forever(loader)
    method = module.method.to(memory_format=torch.channels_last)

    def step() -> None:
        views = next(stream)
        embedded = method.embed(views.by_size, Step(1000, 0.5))
        weights = torch.ones(embedded.projected.shape[:2])
        if module.arbiter is not None:
            weights = module.arbiter(arbiter_input("thumbnails", embedded)).weights
        method.loss(embedded, ViewWeights(weights), Step(1000, 0.5)).backward()
        optimizer.step()
        optimizer.zero_grad()
        done[0] += 1

    return step


def transform_of(name: str) -> Callable[[Image.Image], list[Tensor]]:
    """Return lightly's transform for the same sizes."""
    if name == "simclr":
        return SimCLRTransform(input_size=SIZES[name][0])
    return SwaVTransform(crop_sizes=SIZES[name], crop_counts=(2, 6))


def lightly_training(name: str, size: Size) -> Callable[[], None]:
    """Return a step with lightly's transforms, modules and loss."""
    dataset, more = ImageFolder(str(size.jpegs), transform_of(name)), {"shuffle": True, "drop_last": True}
    loader = DataLoader(dataset, size.batch, num_workers=size.workers, persistent_workers=size.workers > 0, **more)
    return _lightly_step(name, Encoder(size.backbone, 3, 96), forever(loader), 0.01)


def _lightly_step(name: str, encoder: Encoder, stream: Iterator[Any], rate: float) -> Callable[[], None]:
    parameters, loss_of = STEPS[name](encoder, encoder.width)
    optimizer = torch.optim.SGD(parameters.parameters(), lr=rate, momentum=0.9)

    def step() -> None:
        views, _ = next(stream)
        loss_of(views).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


class PeakMemory(Thread):
    """Gigabytes of this process and its loading processes; shared memory is counted once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.over = 0.0, Event()

    def run(self) -> None:
        while not self.over.wait(0.3):
            mine = Path("/proc/self/task")
            children = [child for task in mine.iterdir() for child in (task / "children").read_text().split()]
            self.peak = max(self.peak, sum(_gigabytes(process) for process in ["self", *children]))


def _gigabytes(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e6


def once(who: str, name: str, size: Size = FULL) -> dict[str, float]:
    """Measure the images per second and the peak memory of one peer."""
    torch.manual_seed(0)
    torch.set_num_threads(size.threads)
    memory = PeakMemory()
    memory.start()
    if who == "lightly":
        step = lightly_training(name, size)
    else:
        step = our_training(name, "learned" if who == "uota" else "none", size)
    for _ in range(size.warm_up):
        step()
    began = time.perf_counter()
    for _ in range(size.timed):
        step()
    rate = size.batch * size.timed / (time.perf_counter() - began)
    memory.over.set()
    return {"images_per_second": round(rate, 2), "gigabytes": round(memory.peak, 3)}


class Garments(Dataset[Any]):
    """The demo's images, for a transform of PIL images."""

    def __init__(self, transform: Callable[[Image.Image], list[Tensor]], count: int | None) -> None:
        self.source, self.transform = first_images(open_source("demo"), count), transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        """Return the views of an image."""
        return self.transform(to_pil_image(self.source.images([index])[0]).convert("RGB")), 0


def until(who: str, size: Size = FULL) -> dict[str, Any]:
    """Measure the seconds of SimCLR's training until the goal; evaluations are not counted."""
    torch.manual_seed(0)
    torch.set_num_threads(size.threads)
    preset = PRESETS["small-grey"].with_local_views(0)
    encoder, epoch = _lightly_on_demo(preset, size) if who == "lightly" else _ours_on_demo(preset, who, size)
    seconds, reached = 0.0, []
    sources = [first_images(open_source("demo", split), size.images) for split in ("train", "test")]
    for _ in range(size.epochs):
        began = time.perf_counter()
        epoch()
        seconds += time.perf_counter() - began
        features = [encoder_features(encoder, source, preset) for source in sources]
        encoder.train()
        reached.append((round(seconds, 1), round(evaluate_knn(*features).top1, 2)))
        if reached[-1][1] >= GOAL:
            break
    return {"seconds": reached[-1][0] if reached[-1][1] >= GOAL else None, "way": reached}


def _ours_on_demo(preset: ViewPreset, who: str, size: Size) -> tuple[Encoder, Callable[[], None]]:
    source, done = first_images(open_source("demo"), size.images), [0]
    arbiter = "learned" if who == "uota" else "none"
    asked = Pretrain.from_flat(
        data="demo",
        method="simclr",
        method_options=SIMCLR,
        local_views=0,
        arbiter=arbiter,  # type: ignore[arg-type]
        optimizer="adamw",
        learning_rate=RATE,
    )
    module = build_module(on_thumbnails(resolve_auto(asked, source)), 10_000)
    optimizer, pipeline = module.configure_optimizers(), ViewPipeline(preset, 0)
    batches = GlobalBatches(len(source), DEMO_BATCH, 0, 0, 1, lambda: done[0])

    def epoch() -> None:
        for samples in batches:
            embedded = module.method.embed(pipeline(source, samples).by_size, Step(done[0]))
            weights = torch.ones(embedded.projected.shape[:2])
            if module.arbiter is not None:
                weights = module.arbiter(arbiter_input("thumbnails", embedded)).weights
            module.method.loss(embedded, ViewWeights(weights), Step(done[0])).backward()
            optimizer.step()
            optimizer.zero_grad()
            done[0] += 1

    return module.method.encoder, epoch


def _lightly_on_demo(preset: ViewPreset, size: Size) -> tuple[Encoder, Callable[[], None]]:
    """Train on grey views like those of uota: the first of three equal channels."""
    group = preset.sizes[0]
    made = SimCLRTransform(
        input_size=group.size, min_scale=group.scale[0], gaussian_blur=0.0, random_gray_scale=0.0,
        cj_prob=group.jitter_probability, cj_bright=group.brightness, cj_contrast=group.contrast,
        normalize={"mean": preset.mean * 3, "std": preset.std * 3},
    )  # fmt: skip
    garments, workers = Garments(made, size.images), min(size.workers, DEMO_WORKERS)
    loader = DataLoader(
        garments, DEMO_BATCH, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    encoder = Encoder("tiny", 1, group.size)
    parameters, loss_of = STEPS["simclr"](encoder, encoder.width)
    optimizer = torch.optim.AdamW(parameters.parameters(), lr=RATE)

    def epoch() -> None:
        for views, _ in loader:
            loss_of([view[:, :1] for view in views]).backward()
            optimizer.step()
            optimizer.zero_grad()

    return encoder, epoch


def measured(*arguments: str) -> dict[str, Any]:
    """Make one measurement in its own process."""
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def compare(out: Path) -> None:
    """Make all measurements in turn."""
    make_jpegs()
    result: dict[str, Any] = {}
    for name in METHODS_TIMED:
        rounds = [{who: measured("once", who, name) for who in PEERS} for _ in range(ROUNDS)]
        row = {who: {key: median(taken[who][key] for taken in rounds) for key in rounds[0][who]} for who in PEERS}
        ratios = {who: round(row[who]["images_per_second"] / row["lightly"]["images_per_second"], 3) for who in PEERS}
        result[name] = row | {"ratio": ratios}
        print(name, json.dumps(result[name]), flush=True)
        write_text_atomically(out, json.dumps(result, indent=1) + "\n")
    result["until"] = {who: measured("until", who) for who in PEERS}
    print(json.dumps(result["until"]))
    write_text_atomically(out, json.dumps(result, indent=1) + "\n")


def compare_tiny(out: Path) -> None:
    """Make every measurement in its smallest form, in this process and on made-up pictures."""
    with TemporaryDirectory() as folder:
        for number, pixels in enumerate(smooth_images(8, 3, 128, 128)):
            (Path(folder) / "all").mkdir(exist_ok=True)
            to_pil_image(pixels).save(Path(folder) / "all" / f"{number}.jpg")
        size = Size(
            Path(folder), "tiny", batch=4, warm_up=0, timed=1, workers=0, images=DEMO_BATCH, epochs=1, threads=1
        )
        result: dict[str, Any] = {name: {who: once(who, name, size) for who in PEERS} for name in METHODS_TIMED}
        result["until"] = {who: until(who, size) for who in PEERS}
    print(json.dumps(result))
    write_text_atomically(out, json.dumps(result, indent=1) + "\n")


def make_own_parser() -> Parser:
    """Return the parser, with a command for each single measurement."""
    parser = make_parser("peers", __doc__)
    commands = parser.add_subparsers(dest="what", metavar="once | until")
    one = commands.add_parser("once", help="measure the speed of one peer", allow_abbrev=False)
    one.add_argument("who", choices=PEERS)
    one.add_argument("method", choices=METHODS_TIMED)
    commands.add_parser("until", help="measure the seconds until the goal").add_argument("who", choices=PEERS)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all measurements, or print a single one."""
    asked = parse(make_own_parser(), arguments, OUT)
    if asked.what == "once":
        make_jpegs()
        print(json.dumps(once(asked.who, asked.method)))
    elif asked.what == "until":
        print(json.dumps(until(asked.who)))
    elif asked.tiny:
        compare_tiny(asked.out)
    else:
        compare(asked.out)


if __name__ == "__main__":
    start(main)
