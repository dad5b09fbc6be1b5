"""Images a second of a folder, of tar shards and of a saved data set: the same JPEG files, in turns, in one process.

    python -m benchmarks.packed           # prints, and writes benchmarks/results/packed.json

Rows: bytes read in the order of an epoch after the files were dropped from the page cache (directories and inodes stay
in it); bytes read again; decoded, and as views of the `swav` preset, both by the processor's time, which others on the
machine disturb less. One thread, no workers; who comes first changes from round to round; medians over the rounds. The
folder keeps no decoded images, as where they do not fit.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.timing import seconds
from benchmarks.views import smooth_images
from uota.data import Folder, FolderOptions, PackedSource, open_source
from uota.data.packed.sharding import shard
from uota.training.batches import shuffled
from uota.views import PRESETS, ViewPipeline

RESULT = Path(__file__).parent / "results" / "packed.json"
FILES, DECODED, VIEWED, ROUNDS = 4000, 500, 120, 6
NEVER = FolderOptions(cache_megabytes=0)
In = Folder | PackedSource


def write_pictures(folder: Path) -> None:
    """So many files of 64 different pictures of 500x375 pixels."""
    for number, pixels in enumerate(smooth_images(64, 3, 375, 500)):
        jpeg = BytesIO()
        to_pil_image(pixels).save(jpeg, "jpeg", quality=90)
        for copy in range(number, FILES, 64):
            (folder / f"{copy:05}.jpg").write_bytes(jpeg.getvalue())


def save(folder: Path, out: Path) -> None:
    """The files of a folder by Hugging Face's `datasets`."""
    import datasets

    files = [str(file) for file in sorted(folder.iterdir())]
    datasets.Dataset.from_dict({"image": files}).cast_column("image", datasets.Image()).save_to_disk(out)


def forget(folder: Path) -> None:
    """Drop what lies in a folder from the page cache."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def busy_seconds(function: Callable[[], object]) -> float:
    """Of the processor, for one call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def read(source: In, order: Sequence[int]) -> None:
    """Bytes of these images."""
    for index in order:
        source.decoded.files.read(index)


def decode(source: In, order: Sequence[int]) -> None:
    """Images as they come to the views; by fours, so that few are in memory."""
    for start in range(0, len(order), 4):
        source.images(order[start : start + 4])


def one_round(place: Path, number: int) -> dict[str, float]:
    """Images a second of one source, opened anew: what is mapped into memory cannot be dropped."""
    source = open_source(place, folder=NEVER)
    parts = getattr(source, "parts", None)
    order = shuffled(np.array([FILES]) if parts is None else parts, np.random.default_rng(number)).tolist()
    pipeline = ViewPipeline(PRESETS["swav"])
    forget(place)
    return {
        "read_after_dropping": FILES / seconds(partial(read, source, order)),
        "read_again": FILES / seconds(partial(read, source, order)),
        "decoded": DECODED / busy_seconds(partial(decode, source, order[:DECODED])),
        "views": VIEWED / busy_seconds(partial(pipeline, source, [(number, index) for index in order[:VIEWED]])),
    }


def measure(root: Path) -> dict[str, dict[str, float]]:
    """Images a second of every source, and how many times the folder's that is."""
    places = {"folder": root / "folder", "shards": root / "shards", "datasets": root / "datasets"}
    places["folder"].mkdir()
    write_pictures(places["folder"])
    shard(places["folder"], places["shards"], shard_size=8)
    if find_spec("datasets"):
        save(places["folder"], places["datasets"])
    else:
        del places["datasets"]
    rounds = []
    for number in range(ROUNDS):
        first = number % len(places)
        rounds.append({name: one_round(places[name], number) for name in [*places][first:] + [*places][:first]})
    result: dict[str, dict[str, float]] = {}
    for row in rounds[0]["folder"]:
        rates = {name: median(one[name][row] for one in rounds) for name in places}
        ratios = {f"{name}_over_folder": rates[name] / rates["folder"] for name in places if name != "folder"}
        result[row] = {name: round(value, 2) for name, value in (rates | ratios).items()}
    return result


def main() -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as root:
        result = measure(Path(root))
    for row, values in result.items():
        print(f"{row:20}", "  ".join(f"{name} {value:.2f}" for name, value in values.items()))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
