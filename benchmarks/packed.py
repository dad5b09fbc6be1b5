"""Images per second from a folder, from tar shards and from a saved data set, all with the same JPEG files.

    python -m benchmarks.packed           # prints, and writes benchmarks/results/packed.json

The sources take turns in one process, on one thread without workers, and the order changes from round to round; the
figures are medians over the rounds. The rows are: bytes read in the order of an epoch after the files were dropped from
the page cache (directories and inodes stay in it); bytes read again; decoded images, and views of the `swav` preset,
both per second of processor time, which other work on the machine disturbs less. The folder keeps no decoded images in
memory, as if they did not fit.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import smooth_images
from benchmarks.timing import seconds
from uota.data import Folder, FolderOptions, PackedSource, open_source
from uota.data.packed.sharding import shard
from uota.training.batches import shuffled
from uota.views import PRESETS, ViewPipeline

RESULT = RESULTS / "packed.json"


class Size(NamedTuple):
    """How many files are written, decoded and made views of, and how many rounds are made."""

    files: int
    decoded: int
    viewed: int
    rounds: int


FULL, TINY = Size(4000, 500, 120, 6), Size(64, 8, 4, 1)
NEVER = FolderOptions(cache_megabytes=0)
In = Folder | PackedSource


def write_jpegs(folder: Path, count: int) -> None:
    """Write JPEG files of 64 different pictures of 500x375 pixels."""
    for number, pixels in enumerate(smooth_images(64, 3, 375, 500)):
        jpeg = BytesIO()
        to_pil_image(pixels).save(jpeg, "jpeg", quality=90)
        for copy in range(number, count, 64):
            (folder / f"{copy:05}.jpg").write_bytes(jpeg.getvalue())


def save(folder: Path, out: Path) -> None:
    """Save the files of a folder with Hugging Face's `datasets`."""
    import datasets

    files = [str(file) for file in sorted(folder.iterdir())]
    datasets.Dataset.from_dict({"image": files}).cast_column("image", datasets.Image()).save_to_disk(out)


def forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def busy_seconds(function: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def read(source: In, order: Sequence[int]) -> None:
    """Read the bytes of these images."""
    for index in order:
        source.decoded.files.read(index)


def decode(source: In, order: Sequence[int]) -> None:
    """Decode these images as the view pipeline does; four at a time, so that few are in memory."""
    for first in range(0, len(order), 4):
        source.images(order[first : first + 4])


def one_round(place: Path, number: int, size: Size) -> dict[str, float]:
    """Measure one source, which is opened anew: pages that are mapped into memory cannot be dropped."""
    source = open_source(place, folder=NEVER)
    parts = getattr(source, "parts", None)
    order = shuffled(np.array([size.files]) if parts is None else parts, np.random.default_rng(number)).tolist()
    pipeline = ViewPipeline(PRESETS["swav"])
    forget(place)
    return {
        "read_after_dropping": size.files / seconds(partial(read, source, order)),
        "read_again": size.files / seconds(partial(read, source, order)),
        "decoded": size.decoded / busy_seconds(partial(decode, source, order[: size.decoded])),
        "views": size.viewed / busy_seconds(partial(pipeline, source, [(number, i) for i in order[: size.viewed]])),
    }


def measure(root: Path, size: Size) -> dict[str, dict[str, float]]:
    """Measure the images per second of every source, and their ratios to those of the folder."""
    places = {"folder": root / "folder", "shards": root / "shards", "datasets": root / "datasets"}
    places["folder"].mkdir()
    write_jpegs(places["folder"], size.files)
    shard(places["folder"], places["shards"], shard_size=8)
    if find_spec("datasets"):
        save(places["folder"], places["datasets"])
    else:
        del places["datasets"]
    rounds = []
    for number in range(size.rounds):
        first = number % len(places)
        rounds.append({name: one_round(places[name], number, size) for name in [*places][first:] + [*places][:first]})
    result: dict[str, dict[str, float]] = {}
    for row in rounds[0]["folder"]:
        rates = {name: median(one[name][row] for one in rounds) for name in places}
        ratios = {f"{name}_over_folder": rates[name] / rates["folder"] for name in places if name != "folder"}
        result[row] = {name: round(value, 2) for name, value in (rates | ratios).items()}
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = make_parser("packed", __doc__)
    parser.add_argument(
        "folder", nargs="?", help="folder on the disk to be measured (default: that of temporary files)"
    )
    asked = parse(parser, arguments, RESULT)
    torch.set_num_threads(1)
    if asked.folder is not None and not Path(asked.folder).is_dir():
        parser.error(f"{asked.folder} is not a folder; give one on the disk to be measured")
    with TemporaryDirectory(dir=asked.folder) as root:
        result = measure(Path(root), TINY if asked.tiny else FULL)
    for row, values in result.items():
        print(f"{row:20}", "  ".join(f"{name} {value:.2f}" for name, value in values.items()))
    asked.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    start(main)
