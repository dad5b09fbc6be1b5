"""Images per second of whole trainings, beside the network alone: python -m benchmarks.on_device.speed FILE [--tiny]

SimCLR and Barlow Twins train a ViT-S/16 on 2 views of 224 pixels, and SwAV a ResNet-50 on 2 of 224 and 6 of 96, in
bf16. A line per measurement is appended to FILE:
  network   forward and backward pass alone, of views in the accelerator's memory, without an arbiter;
  step      a whole step of such views, with each arbiter; its share of the step is measured alone;
  training  a whole step from decoded images in memory, or from JPEG files of 500x375 pixels, whose views are made by
            loading processes (cpu) or on the accelerator (device), with the method's usual arbiter;
  lightly   the same from JPEG files with lightly's transforms, modules and losses, as in its plain PyTorch examples.
Every training has a loading process for each core. Rates are of some seconds after the first batches have arrived.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from benchmarks.command_line import make_parser, start
from benchmarks.loader import Decoded, write_files
from benchmarks.on_device.recipes import SOURCE, Training, arbiter_seconds, first_line, name_of, wait
from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.settings.pretrain import Pretrain, ViewsOn
from uota.training.batches import GlobalBatches
from uota.training.device_views import views_on
from uota.training.loader import Loader
from uota.training.resolve import resolve_auto
from uota.training.setup import build_arbiter
from uota.views import CropDataset, ViewDataset, ViewPipeline, Views, identity_collate
from uota.views.presets import preset_of

ARBITERS = ("none", "mahalanobis", "learned")


class Setup(NamedTuple):
    """What is trained, with the arbiter that its whole trainings have."""

    method: str
    backbone: str
    views: str
    batch: int
    arbiter: str


VIT = "vit_small_patch16_224"
FULL = (
    Setup("simclr", VIT, "simclr", 256, "none"),
    Setup("barlow_twins", VIT, "barlow", 256, "none"),
    Setup("swav", "resnet50", "swav", 128, "mahalanobis"),
)
TINY = tuple(each._replace(backbone="tiny", views="small", batch=4) for each in FULL)


@dataclass(frozen=True)
class Size:
    """How long everything is measured.

    Attributes:
        files: number of JPEG files.
        warm_up: steps of views in memory that are not timed.
        seconds: of steps that are timed.
        workers: loading processes.
    """

    files: int
    warm_up: int
    seconds: float
    workers: int


def size_of(tiny: bool) -> Size:
    """Return the size of a measurement on this machine."""
    return Size(16, 1, 0.0, 0) if tiny else Size(1024, 5, 4.0, len(os.sched_getaffinity(0)))


def rate(step: Callable[[], object], batch: int, warm_up: int, seconds: float, device: torch.device) -> float:
    """Return the images per second of steps that take so many seconds together; there are at least two of them."""
    for _ in range(warm_up):
        step()
    wait(device)
    began, steps = time.perf_counter(), 0
    while steps < 2 or time.perf_counter() - began < seconds:
        step()
        steps += 1
        if steps % 10 == 0:
            wait(device)  # otherwise steps are queued faster than they are taken
    wait(device)
    return batch * steps / (time.perf_counter() - began)


def settings_of(setup: Setup, arbiter: str, device: torch.device) -> Pretrain:
    """Return the settings of a training, in which the arbiter works from the first step."""
    precision = "bf16" if device.type == "cuda" else "32"  # which most CPUs only emulate
    asked = {"method": setup.method, "backbone": setup.backbone, "views": setup.views, "batch_size": setup.batch}
    asked |= {"init": "random", "arbiter": arbiter, "start": None if arbiter == "none" else 0.0, "steps": 10_000}
    if arbiter == "learned":
        asked["eyes"] = "thumbnails"
    return resolve_auto(Pretrain.from_flat(precision=precision, **asked), SOURCE)


def network_step(training: Training) -> None:
    """Compute the loss and all gradients; nothing waits for the accelerator."""
    with training.autocast():
        loss = training.module.training_step(training.views, 0)["loss"]
    training.clock.optimizers[0].zero_grad()
    loss.backward()


def whole_step(training: Training) -> None:
    """Take a step, including the schedule's and the optimiser's."""
    training.module.on_train_batch_start(training.views, 0)
    network_step(training)
    (optimizer,) = training.clock.optimizers
    training.module.on_before_optimizer_step(optimizer)
    optimizer.step()
    training.clock.global_step += 1


def ready(setup: Setup, size: Size, device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield the lines of views that are ready: of the network alone, and of steps with each arbiter."""
    training = Training.of(settings_of(setup, "none", device), device, int)
    training.clock.global_step = 1  # at which nothing is read from the accelerator
    alone = rate(partial(network_step, training), setup.batch, size.warm_up, size.seconds, device)
    yield {"what": "network", "arbiter": "none", "images_per_second": alone}
    for arbiter in ARBITERS:
        yield {"what": "step", "arbiter": arbiter} | _of_arbiter(training, setup, arbiter, size, device)


def _of_arbiter(training: Training, setup: Setup, arbiter: str, size: Size, device: torch.device) -> dict[str, Any]:
    """Measure steps with another arbiter; the network stays."""
    module = training.module
    module.settings = settings_of(setup, arbiter, device)
    made = build_arbiter(module.settings, module.method.dim)
    module.arbiter = None if made is None else made.to(device)
    _forget_peak(device)
    found = rate(partial(whole_step, training), setup.batch, size.warm_up, size.seconds, device)
    judging = arbiter_seconds(training, device)
    share = None if judging is None else judging * found / setup.batch
    return {"images_per_second": found, "arbiter_share": share, "peak_gib": _peak(device)}


def from_images(setup: Setup, folder: Path, size: Size, device: torch.device) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield what makes the lines of whole trainings."""
    for images in ("memory", "jpeg"):
        for where in ("cpu", "device"):
            yield partial(_training, setup, folder, images, where, size, device)
    yield partial(_lightly, setup, folder, size, device)


def _training(
    setup: Setup, folder: Path, images: str, where: ViewsOn, size: Size, device: torch.device
) -> dict[str, Any]:
    settings = settings_of(setup, setup.arbiter, device)
    training = Training.of(settings, device, int)
    source: Any = open_source(folder)
    source = Decoded(source.at_full_size().images(range(len(source)))) if images == "memory" else source.at_full_size()
    pipeline = ViewPipeline(preset_of(settings))
    dataset: Any = CropDataset(source, pipeline) if where == "device" else ViewDataset(source, pipeline)
    batches = GlobalBatches(len(source), setup.batch, 0, 0, 1, lambda: 0)
    loader = Loader(
        dataset,
        size.workers,
        prepare=partial(views_on, device),
        batch_sampler=batches,
        collate_fn=identity_collate,
        pin_memory=device.type == "cuda",
        persistent_workers=size.workers > 0,
    )
    stream = _forever(loader)

    def step() -> None:
        views: Views = next(stream)
        training.views = views  # type: ignore[assignment]
        whole_step(training)

    _forget_peak(device)
    found = rate(step, batches.local_size, _first_batches(size), 2 * size.seconds, device)
    line = {"what": "training", "arbiter": setup.arbiter, "images": images, "views_on": where}
    return line | {"images_per_second": found, "peak_gib": _peak(device)}


def _lightly(setup: Setup, folder: Path, size: Size, device: torch.device) -> dict[str, Any]:
    line = {"what": "lightly", "arbiter": "none", "images": "jpeg", "views_on": "cpu"}
    if not find_spec("lightly"):
        return line | {"error": "not run: lightly is not installed"}
    from lightly.transforms import BYOLTransform, SimCLRTransform, SwaVTransform

    from benchmarks.lightly_steps import STEPS

    transforms = {"simclr": SimCLRTransform, "barlow_twins": BYOLTransform, "swav": SwaVTransform}
    options: dict[str, Any] = {"num_workers": size.workers, "persistent_workers": size.workers > 0}
    options |= {"pin_memory": device.type == "cuda", "shuffle": True, "drop_last": True}
    pictures = ImageFolder(str(folder), transforms[setup.method]())
    loader: DataLoader[Any] = DataLoader(pictures, min(setup.batch, len(pictures)), **options)
    torch.manual_seed(0)
    encoder = Encoder(setup.backbone, 3, 224)
    parameters, loss_of = STEPS[setup.method](encoder, encoder.width)
    parameters.to(device)
    optimizer = torch.optim.SGD(parameters.parameters(), lr=0.01, momentum=0.9)
    stream = _forever(loader)

    def step() -> None:
        views, _ = next(stream)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of([view.to(device, non_blocking=True) for view in views])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    _forget_peak(device)
    found = rate(step, setup.batch, _first_batches(size), 2 * size.seconds, device)
    return line | {"images_per_second": found, "peak_gib": _peak(device)}


def _first_batches(size: Size) -> int:
    """Return how many batches loading processes make side by side before their rate shows."""
    return max(size.warm_up, size.workers)


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None


def lines_of(setup: Setup, folder: Path, size: Size, device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield the lines of a setup; those that fail have an error."""
    try:
        yield from ready(setup, size, device)
    except Exception as error:  # go on with whole trainings
        yield {"what": "step", "error": first_line(error)}
    for make in from_images(setup, folder, size, device):
        try:
            yield make()
        except Exception as error:  # go on with the next one
            yield {"what": "training", "error": first_line(error)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and append the lines."""
    parser = make_parser("on_device.speed", __doc__, measures=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--tiny", action="store_true", help="make everything small enough for a CPU")
    asked = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() and not asked.tiny else "cpu")
    size = size_of(asked.tiny)
    with TemporaryDirectory() as place, asked.file.open("a") as file:
        folder = write_files(Path(place), size.files)
        for setup in TINY if asked.tiny else FULL:
            for line in lines_of(setup, folder, size, device):
                row = {"part": "speed", **setup._asdict(), "device": name_of(device), **line}
                print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
    start(main)
