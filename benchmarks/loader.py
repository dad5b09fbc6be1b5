"""Images per second of one core from JPEG files to a batch, by part, beside torchvision's.

    python -m benchmarks.loader                      # prints, and appends to benchmarks/results/loader.jsonl
    python -m benchmarks.loader --before OLD/src     # also the package as it was at another commit

The files have 500x375 pixels and are pieces of the two photographs that come with scikit-learn. `decode`, `cut` and
`photometric` are the parts of uota's views; beside them are the bare decoders of torchvision and Pillow, and those of
torchcodec and simplejpeg where these are installed (simplejpeg also at half the size). `loader` is a DataLoader with
one process, from the files to batches in this process: of uota's views (on_cpu), of crops that a device finishes
(on_device), of an earlier uota's views (before), and of torchvision's ImageFolder with the transforms of the same
preset; loader_copies is on_device from shrunk copies (`--cache 256`). `copies_made` and `copies_found` are images from
such copies the first time and later on, and `transfer` is a ready batch of crops on its way from the loading process.
loader_dali, where nvidia-dali is installed, are decoded images and random crops of the preset's sizes by its CPU
operators, with one thread; compare it with on_device.
All take turns, and are compared by the processor time of both processes, which other work on the machine
disturbs less; figures are medians of the rounds.
"""

import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from os import environ
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.lines import make_missing
from uota.data import FolderOptions, Source, open_source
from uota.data.files.copies import CopyOptions
from uota.training.loader import Loader
from uota.views import (
    PRESETS,
    CropDataset,
    UnfinishedViews,
    ViewDataset,
    ViewPipeline,
    ViewSizePreset,
    identity_collate,
)

OUT = RESULTS / "loader.jsonl"
HEIGHT, WIDTH, QUALITY = 375, 500, 90
GOAL = 1.3
NEVER = FolderOptions(cache_megabytes=0)
COPIES_SIDE = 256
# What an earlier version does for each line that it is given; it has its own modules.
BEFORE = """
import resource, sys
import torch
from uota.data import FolderOptions, open_source
from uota.training.loader import Loader
from uota.views import PRESETS, ViewDataset, ViewPipeline, identity_collate

folder, preset, images, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(1)
source = open_source(folder, folder=FolderOptions(cache_megabytes=0))
dataset = ViewDataset(source, ViewPipeline(PRESETS[preset]))

def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

for line in sys.stdin:
    samples = [(int(line), index) for index in range(images)]
    batches = [samples[first : first + batch] for first in range(0, images, batch)]
    began = used()
    for views in Loader(dataset, 1, batch_sampler=batches, collate_fn=identity_collate):
        del views
    print(used() - began, flush=True)
"""


class Size(NamedTuple):
    """How many files are read per round, in batches of how many, and how many rounds are made."""

    images: int
    batch: int
    rounds: int


FULL, TINY = Size(192, 32, 3), Size(4, 2, 1)


class Run(NamedTuple):
    """The field that identifies a line of results."""

    preset: str


def write_files(folder: Path, count: int) -> Path:
    """Write JPEG files, each of a piece of a photograph that covers at least a third of its sides."""
    random, photographs = np.random.default_rng(0), load_sample_images().images
    target = folder / "class"
    target.mkdir(parents=True)
    for number in range(count):
        whole = photographs[number % len(photographs)]
        share = random.uniform(1 / 3, 1)
        high, wide = int(share * len(whole)), int(share * len(whole) * WIDTH / HEIGHT)
        top, left = random.integers(len(whole) - high + 1), random.integers(whole.shape[1] - wide + 1)
        piece = to_pil_image(whole[top : top + high, left : left + wide])
        piece.resize((WIDTH, HEIGHT)).save(target / f"{number:04}.jpg", "jpeg", quality=QUALITY)
    return folder


def used() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def seconds_of(work: Callable[[int], object], number: int) -> float:
    """Return the processor seconds of one round."""
    began = used()
    work(number)
    return used() - began


def transforms_of(preset: str) -> list[v2.Transform]:
    """Return the transform of each view of a preset with torchvision's classes, in the order that is usual there."""
    whole = PRESETS[preset]
    last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(whole.mean), list(whole.std))]
    return [
        v2.Compose([*_transforms_of(view_size, view), *last])
        for view_size in whole.sizes
        for view in range(view_size.count)
    ]


def _transforms_of(own: ViewSizePreset, view: int) -> Iterator[v2.Transform]:
    mode = v2.InterpolationMode.BILINEAR if own.interpolation == "bilinear" else v2.InterpolationMode.BICUBIC
    yield v2.RandomResizedCrop(own.size, own.scale, own.ratio, interpolation=mode)
    yield v2.RandomHorizontalFlip(own.flip_probability)
    if own.jitter_probability:
        jitter = v2.ColorJitter(own.brightness, own.contrast, own.saturation, own.hue)
        yield v2.RandomApply([jitter], own.jitter_probability)
    yield v2.RandomGrayscale(own.grey_probability)
    yield v2.PILToTensor()
    if own.blur_probabilities[view]:
        yield v2.RandomApply([v2.GaussianBlur(own.blur_kernel, own.blur_sigma)], own.blur_probabilities[view])
    if own.solarise_probabilities[view]:
        yield v2.RandomSolarize(255 * own.solarise_threshold, own.solarise_probabilities[view])


class Views:
    """Makes the views of a picture one by one."""

    def __init__(self, preset: str) -> None:
        self.transforms = transforms_of(preset)

    def __call__(self, picture: Any) -> list[torch.Tensor]:
        """Make all views."""
        return [transform(picture) for transform in self.transforms]


class Before:
    """An earlier version of the package, in a process that makes a round when it is asked to."""

    def __init__(self, path: Path, folder: Path, preset: str, size: Size) -> None:
        given = [str(folder), preset, str(size.images), str(size.batch)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEFORE, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environ, "PYTHONPATH": str(path.resolve())},
        )

    def __call__(self, number: int) -> float:
        """Return the processor seconds of one round."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __enter__(self) -> "Before":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()  # the end of its input ends it


def with_copies(folder: Path, place: Path) -> Source:
    """Open the files with shrunk copies in a folder."""
    return open_source(folder, folder=replace(NEVER, copies=CopyOptions(COPIES_SIDE, place)))


class Ready(Dataset[UnfinishedViews]):
    """A data set that has a batch ready whatever it is asked for."""

    def __init__(self, batch: UnfinishedViews) -> None:
        self.batch = batch

    def __getitems__(self, samples: list[Any]) -> UnfinishedViews:
        """Return the batch."""
        return self.batch


def parts_of(folder: Path, preset: str, size: Size) -> dict[str, Callable[[int], float]]:
    """Return what measures the processor seconds of each part of a round, by name."""
    source, pipeline = open_source(folder, folder=NEVER), ViewPipeline(PRESETS[preset])
    indices = list(range(size.images))
    ready = Decoded(source.images(indices))

    def batches(number: int) -> list[list[tuple[int, int]]]:
        samples = [(number, index) for index in indices]
        return [samples[first : first + size.batch] for first in range(0, size.images, size.batch)]

    def load(dataset: Any, number: int) -> None:
        for batch in Loader(dataset, 1, batch_sampler=batches(number), collate_fn=identity_collate):
            del batch

    def photometric(number: int) -> float:
        cut = [pipeline.cut(ready, each) for each in batches(number)]
        return seconds_of(lambda _: [each.finish() for each in cut], number)

    copies = with_copies(folder, folder.parent / "copies")
    copies.images(indices)
    transferred = Ready(pipeline.cut(ready, batches(0)[0]))
    pictures = ImageFolder(folder, Views(preset))
    theirs = DataLoader(pictures, size.batch, num_workers=1)
    works: dict[str, Callable[[int], object]] = {
        "decode": lambda _: [source.images([index]) for index in indices],
        "cut": lambda number: [pipeline.cut(ready, each) for each in batches(number)],
        "copies_made": lambda number: with_copies(folder, folder.parent / f"copies-{number}").images(indices),
        "copies_found": lambda _: [copies.images([index]) for index in indices],
        "transfer": partial(load, transferred),
        "loader_on_cpu": partial(load, ViewDataset(source, pipeline)),
        "loader_on_device": partial(load, CropDataset(source, pipeline)),
        "loader_copies": partial(load, CropDataset(copies, pipeline)),
        "loader_torchvision": lambda _: [None for _ in theirs],
    }
    if find_spec("nvidia") and find_spec("nvidia.dali"):
        works["loader_dali"] = dali_crops(folder, preset, size)
    works |= decoders([np.fromfile(path, dtype=np.uint8) for path in sorted((folder / "class").iterdir())])
    return {name: partial(seconds_of, work) for name, work in works.items()} | {"photometric": photometric}


def dali_crops(folder: Path, preset: str, size: Size) -> Callable[[int], object]:
    """Return what decodes the files and cuts and mirrors all views of a preset with DALI's operators for the CPU."""
    from nvidia.dali import fn, pipeline_def

    views = [own for own in PRESETS[preset].sizes for _ in range(own.count)]

    # Nothing is made ahead, which would count for what is measured next.
    at_once = {"exec_async": False, "exec_pipelined": False, "prefetch_queue_depth": 1}

    @pipeline_def(batch_size=size.batch, num_threads=1, device_id=None, seed=0, **at_once)
    def crops() -> tuple[Any, ...]:
        data, _ = fn.readers.file(file_root=str(folder))
        image = fn.decoders.image(data)
        cut = (
            fn.random_resized_crop(
                image, size=[own.size] * 2, random_area=list(own.scale), random_aspect_ratio=list(own.ratio)
            )
            for own in views
        )
        return tuple(fn.flip(view, horizontal=fn.random.coin_flip()) for view in cut)

    made = crops()
    made.build()
    return lambda _: [made.run() for _ in range(size.images // size.batch)]


def decoders(files: Sequence[np.ndarray]) -> dict[str, Callable[[int], object]]:
    """Return what decodes these JPEG files, by the name of a library that is installed."""
    found: dict[str, Callable[[np.ndarray], object]] = {
        "torchvision": lambda data: decode_jpeg(torch.from_numpy(data), ImageReadMode.RGB),
        "pillow": lambda data: np.asarray(Image.open(BytesIO(data)).convert("RGB")),
    }
    if find_spec("torchcodec"):
        from torchcodec.decoders import decode_jpeg as decode

        found["torchcodec"] = lambda data: decode(torch.from_numpy(data))
    if find_spec("simplejpeg"):
        from simplejpeg import decode_jpeg as decode_simply

        found["simplejpeg"] = decode_simply
        found["simplejpeg_half"] = partial(decode_simply, min_height=HEIGHT // 2, min_width=WIDTH // 2)
    return {f"decode_{name}": partial(_each, decode, files) for name, decode in found.items()}


def _each(decode: Callable[[np.ndarray], object], files: Sequence[np.ndarray], _: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision's decoder is deprecated
        for data in files:
            decode(data)


class Decoded:
    """A source of decoded images."""

    labels = None

    def __init__(self, images: list[torch.Tensor]) -> None:
        self.decoded = images

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.decoded)

    def images(self, indices: Sequence[int]) -> list[torch.Tensor]:
        """Return these images."""
        return [self.decoded[index] for index in indices]

    def truth(self, index: torch.Tensor, boxes: torch.Tensor) -> None:
        """Return nothing, as nobody knows."""


def measure(run: Run, size: Size, before: Path | None) -> dict[str, Any]:
    """Measure and return the line of a preset."""
    with TemporaryDirectory() as place, ExitStack() as stack:
        folder = write_files(Path(place) / "files", size.images)
        parts = parts_of(folder, run.preset, size)
        if before is not None:
            parts["loader_before"] = stack.enter_context(Before(before, folder, run.preset, size))
        rounds = [{name: part(number) for name, part in parts.items()} for number in range(size.rounds + 1)]
    kept = rounds[1:]  # the first is a warm-up
    line: dict[str, Any] = {name: round(size.images / median(each[name] for each in kept), 1) for name in parts}
    for other in ("on_cpu", "before", "torchvision"):
        if (name := f"loader_{other}") in line:
            line[f"over_{other}"] = round(median(each[name] / each["loader_on_device"] for each in kept), 2)
    return run._asdict() | line | {"goal_over_before": GOAL, "day": time.strftime("%Y-%m-%d")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the lines that are missing."""
    parser = make_parser("loader", __doc__)
    parser.add_argument("--before", type=Path, help="the folder src of another commit, to compare with")
    asked = parse(parser, arguments, OUT)
    if asked.before is not None and not (asked.before / "uota").is_dir():
        parser.error(f"{asked.before} has no package uota; give the folder src of a checkout")
    presets = ["medium"] if asked.tiny else ["swav", "medium", "barlow"]
    size = TINY if asked.tiny else FULL
    runs = [Run(preset) for preset in presets]
    make_missing(asked.out, runs, partial(measure, size=size, before=asked.before), processes=1)


if __name__ == "__main__":
    start(main)
