"""Training end to end beside lightly: python -m benchmarks.peers  (on an idle machine; half an hour)

speed: images per second and peak memory from JPEG files to the optimiser's step, with a ResNet-18, 32 images a step,
    2 loading processes and 2 threads: SimCLR (2 views of 96 pixels) and SwAV (2 of 96 and 6 of 48) on 1,200 JPEGs of
    500 pixels made of the Tux Paint stamps. In turn: uota with the learned arbiter, uota without, lightly's transforms,
    modules and losses as its plain PyTorch examples have them; each in a process of its own, median of `ROUNDS`.
accuracy: seconds of training until kNN top-1 on the demo's garments reaches `GOAL`: SimCLR, with the same small
    encoder, projector, temperature, crops, jitter, optimiser and rate.

Writes benchmarks/results/peers.json. `once WHO METHOD` and `until WHO` make one measurement and print it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import torch
from lightly.transforms import SimCLRTransform, SwaVTransform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.lightly_steps import STEPS
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

STAMPS, JPEGS, COUNT, SIDE = Path("/usr/share/tuxpaint/stamps"), Path("runs/benchmark-peers/images"), 1200, 500
OUT = Path(__file__).parent / "results/peers.json"
BATCH, WARMUP, TIMED, ROUNDS, WORKERS = 32, 2, 10, 3, 2
PEERS, METHODS_TIMED = ("uota", "uota without an arbiter", "lightly"), ("simclr", "swav")
SIZES = {"simclr": (96,), "swav": (96, 48)}
GOAL, EPOCHS, RATE = 80.0, 12, 3e-3
# lightly's example's.
SIMCLR = {"hidden": 2048, "dim": 128, "temperature": 0.1}


def make_jpegs() -> None:
    """The stamps on white, enlarged to `SIDE`, each several times turned."""
    if JPEGS.exists():
        return
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
    """A method's own views, of `SIZES`."""
    preset = PRESETS[name]
    groups = [replace(group, size=size) for group, size in zip(preset.sizes, SIZES[name], strict=True)]
    return replace(preset, sizes=tuple(groups))


def forever(loader: DataLoader[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def our_training(name: str, arbiter: str) -> Callable[[], None]:
    """A step from files to weights, as `uota pretrain` makes it."""
    settings = Pretrain(data=str(JPEGS), method=name, arbiter=arbiter, backbone="resnet18", batch_size=BATCH)  # type: ignore[arg-type]
    settings = replace(
        resolve_auto(replace(settings, views=name), open_source(JPEGS)), look="thumbnails", optimizer="sgd"
    )
    module, source, done = build_module(settings, 10_000), open_source(JPEGS), [0]
    dataset = ViewDataset(source, ViewPipeline(resized(name), 0))
    batches = GlobalBatches(len(source), BATCH, 0, 0, 1, lambda: done[0])
    loader = Loader(dataset, WORKERS, batch_sampler=batches, collate_fn=identity_collate, persistent_workers=True)
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
    """lightly's own, of the same sizes."""
    if name == "simclr":
        return SimCLRTransform(input_size=SIZES[name][0])
    return SwaVTransform(crop_sizes=SIZES[name], crop_counts=(2, 6))


def lightly_training(name: str, arbiter: str) -> Callable[[], None]:
    """The same with lightly's transforms, modules and loss."""
    dataset = ImageFolder(str(JPEGS), transform_of(name))
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True)
    return _lightly_step(name, Encoder("resnet18", 3, 96), forever(loader), 0.01)


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
    """Gigabytes of this process and those that load for it, what they share counted once."""

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


def once(who: str, name: str) -> dict[str, float]:
    """Images per second and peak memory of one."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    memory = PeakMemory()
    memory.start()
    make = lightly_training if who == "lightly" else our_training
    step = make(name, "learned" if who == "uota" else "none")
    for _ in range(WARMUP):
        step()
    began = time.perf_counter()
    for _ in range(TIMED):
        step()
    rate = BATCH * TIMED / (time.perf_counter() - began)
    memory.over.set()
    return {"images_per_second": round(rate, 2), "gigabytes": round(memory.peak, 3)}


class Garments(Dataset[Any]):
    """The demo's images for a transform of PIL images."""

    def __init__(self, transform: Callable[[Image.Image], list[Tensor]]) -> None:
        self.source, self.transform = open_source("demo"), transform

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        """Its views."""
        return self.transform(to_pil_image(self.source.images([index])[0]).convert("RGB")), 0


def until(who: str) -> dict[str, Any]:
    """Seconds of SimCLR's training until the goal; evaluations are not counted."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    preset = PRESETS["small-grey"].with_local_views(0)
    encoder, epoch = _lightly_on_demo(preset) if who == "lightly" else _ours_on_demo(preset, who)
    seconds, reached = 0.0, []
    for _ in range(EPOCHS):
        began = time.perf_counter()
        epoch()
        seconds += time.perf_counter() - began
        features = [encoder_features(encoder, open_source("demo", split), preset) for split in ("train", "test")]
        encoder.train()
        reached.append((round(seconds, 1), round(evaluate_knn(*features).top1, 2)))
        if reached[-1][1] >= GOAL:
            break
    return {"seconds": reached[-1][0] if reached[-1][1] >= GOAL else None, "way": reached}


def _ours_on_demo(preset: ViewPreset, who: str) -> tuple[Encoder, Callable[[], None]]:
    source, done = open_source("demo"), [0]
    arbiter = "learned" if who == "uota" else "none"
    asked = Pretrain(
        data="demo",
        method="simclr",
        method_options=SIMCLR,
        local_views=0,
        arbiter=arbiter,  # type: ignore[arg-type]
        optimizer="adamw",
        learning_rate=RATE,
    )
    module = build_module(replace(resolve_auto(asked, source), look="thumbnails"), 10_000)
    optimizer, pipeline = module.configure_optimizers(), ViewPipeline(preset, 0)
    batches = GlobalBatches(len(source), 128, 0, 0, 1, lambda: done[0])

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


def _lightly_on_demo(preset: ViewPreset) -> tuple[Encoder, Callable[[], None]]:
    """Grey as our views are: the first of three equal channels."""
    group = preset.sizes[0]
    made = SimCLRTransform(
        input_size=group.size, min_scale=group.scale[0], gaussian_blur=0.0, random_gray_scale=0.0,
        cj_prob=group.jitter_probability, cj_bright=group.brightness, cj_contrast=group.contrast,
        normalize={"mean": preset.mean * 3, "std": preset.std * 3},
    )  # fmt: skip
    loader = DataLoader(Garments(made), 128, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True)
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
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def compare() -> None:
    """All, in turn."""
    make_jpegs()
    result: dict[str, Any] = {}
    for name in METHODS_TIMED:
        rounds = [{who: measured("once", who, name) for who in PEERS} for _ in range(ROUNDS)]
        row = {who: {key: median(taken[who][key] for taken in rounds) for key in rounds[0][who]} for who in PEERS}
        ratios = {who: round(row[who]["images_per_second"] / row["lightly"]["images_per_second"], 3) for who in PEERS}
        result[name] = row | {"ratio": ratios}
        print(name, json.dumps(result[name]), flush=True)
        write_text_atomically(OUT, json.dumps(result, indent=1) + "\n")
    result["until"] = {who: measured("until", who) for who in PEERS}
    print(json.dumps(result["until"]))
    write_text_atomically(OUT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        make_jpegs()
        print(json.dumps(once(*sys.argv[2:])))
    elif sys.argv[1:2] == ["until"]:
        print(json.dumps(until(*sys.argv[2:])))
    else:
        compare()
