"""Tar shards in WebDataset's layout; each image is read at its offset, and nothing is unpacked."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from rich.progress import Progress

from uota.data.files.decoded import FolderOptions
from uota.data.files.formats import EXTENSIONS
from uota.data.files.left_out import LeftOut
from uota.data.files.splits import UNLABELLED, in_share, split_of
from uota.data.packed.source import PackedSource
from uota.data.packed.tar_index import TarIndex, joined, make_index, stored_index
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.io.reading import file_stamp, open_regular, read_json

# The file beside the shards in which `uota shard` describes them.
DESCRIPTION = "shards.json"
OPEN_AT_ONCE = 64
# A pattern that expands to more shards than this is a typing error.
MOST_SHARDS = 100_000
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class Shards:
    """The images of tar files, by index; takes 48 bytes of memory and a name for each."""

    def __init__(self, shards: list[Path], which: Int64[np.ndarray, " len"], index: TarIndex) -> None:
        """Keep the index; image i is in `shards[which[i]]`."""
        self.shards, self.which, self.index = shards, which, index
        self.name_ends = index.lengths.cumsum()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.which)

    def path(self, index: int) -> Path:
        """Path of the shard, followed by the name in it."""
        end, length = int(self.name_ends[index]), int(self.index.lengths[index])
        return self.shards[self.which[index]] / os.fsdecode(self.index.names[end - length : end].tobytes())

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image.

        Raises:
            OSError: the shard is missing or truncated.
        """
        data = np.empty(int(self.index.sizes[index]), dtype=np.uint8)
        shard = self.shards[self.which[index]]
        try:
            if os.preadv(_opened(shard).descriptor, [data.data], int(self.index.starts[index])) < len(data):
                raise OSError("it is truncated")
        except OSError:
            _opened.cache_clear()  # after a disk was unavailable, its files must be reopened
            raise
        return data

    def identity(self, index: int) -> bytes:
        """The shard's path, size and times of change, and the place of the image in it."""
        place = f" {self.index.starts[index]} {self.index.sizes[index]}"
        return file_stamp(self.shards[self.which[index]]) + place.encode()

    def subset(self, chosen: Bool[np.ndarray, " len"]) -> "Shards":
        """These images only."""
        index, of_names = self.index, np.repeat(chosen, self.index.lengths)
        starts, sizes, labels, lengths = (
            array[chosen] for array in (index.starts, index.sizes, index.labels, index.lengths)
        )
        some = TarIndex(starts, sizes, labels, index.names[of_names], lengths, index.said)
        return Shards(self.shards, self.which[chosen], some)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Names of the shards, and the names and places of the images in them."""
        yield from (os.fsencode(shard.name) for shard in self.shards)
        index = self.index
        for array in (self.which, index.names, index.lengths, index.starts, index.sizes):
            yield np.ascontiguousarray(array).tobytes()


class _Opened:
    """A file that stays open for as long as this object exists."""

    def __init__(self, path: Path) -> None:
        self.descriptor = open_regular(path)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


# On a network file system opening a file takes longer than reading an image from an open one.
_opened = lru_cache(maxsize=OPEN_AT_ONCE)(_Opened)


def are_shards(name: str) -> bool:
    """Whether this names tar files, as a pattern or as a folder with tar files and no images."""
    path = path_of(name)
    if not path.is_dir():
        return name.lower().endswith((".tar", *COMPRESSED))
    if (path / DESCRIPTION).is_file():
        return True
    try:
        with os.scandir(path) as entries:
            names = [entry.name.lower() if entry.is_file() else "folder.jpg" for entry in entries]
    except OSError:  # reported when it is opened
        return False
    tars = any(name.endswith((".tar", *COMPRESSED)) for name in names)
    return tars and not any(name.endswith(EXTENSIONS) for name in names)


def open_shards(name: str, split: Split, options: FolderOptions | None = None) -> PackedSource:
    """The images of a split of tar shards.

    Shards named train and test (or val, …) are these splits. In others, a fifth of each class, chosen by a hash of the
    name, is the test split if samples have a number in `.cls`; otherwise both splits contain all images. Samples
    without a number get the label -1 and belong to training. All ignores splits: it has the images of all shards.

    Args:
        name: `shards-{000..099}.tar`, `shards-*.tar`, one .tar file, or a folder of tar files.
        split: train, test or all.
        options: how images are read; none are kept in memory.

    Raises:
        UotaError: a shard is missing or damaged, or there are no images.
    """
    _opened.cache_clear()  # a shard may have been rewritten
    left_out = LeftOut()
    shards, in_name = _of_split(find_shards(name, left_out), split, left_out)
    indices = _indices(shards)
    for one in indices:
        left_out.add_all(one.left_out())
    files = Shards(shards, np.repeat(np.arange(len(shards)), [len(one) for one in indices]), joined(indices))
    if len(files) < 2:
        what = "; ".join(left_out.sentences())
        raise UotaError(
            f"{name} has {len(files)} image(s) in {len(shards)} shard(s); at least two images are needed"
            + (f"; {what}" if what else "")
        )
    classes = _described(shards[0].parent, "classes")
    labels = _within(files.index.labels, classes, files, left_out)
    labelled = bool((labels != UNLABELLED).any())
    if labelled and not in_name:
        chosen = in_share(files.index.each_name(), labels, split)
        files, labels = files.subset(chosen), labels[chosen]
        if not len(files):
            raise UotaError(f"{name} has too few images of every class for a test split; give at least 3 of each")
    if labelled and (without := int((labels == UNLABELLED).sum())):
        first = files.path(int((labels == UNLABELLED).argmax()))
        left_out.add("sample(s) have no label, and are not used in evaluations", str(first), without)
    empty = [shard for shard, one in zip(shards, indices, strict=True) if not len(one)]
    parts = np.bincount(files.which, minlength=len(shards))
    return PackedSource(
        name, files, labels if labelled else None, classes, options or FolderOptions(), parts, empty, left_out
    )


def _within(
    labels: Int64[np.ndarray, " len"], classes: list[str] | None, files: Shards, left_out: LeftOut
) -> Int64[np.ndarray, " len"]:
    """The labels, with -1 in place of those beyond the described classes."""
    if classes is None or not (beyond := labels >= len(classes)).any():
        return labels
    reason = f"label(s) are beyond the {len(classes)} classes in {DESCRIPTION}"
    left_out.add(reason, str(files.path(int(beyond.argmax()))), int(beyond.sum()))
    return np.where(beyond, UNLABELLED, labels)


def find_shards(name: str, left_out: LeftOut | None = None) -> list[Path]:
    """The tar files of a pattern or a folder, sorted within each `*`.

    Args:
        name: the pattern or folder.
        left_out: counts what else is in the folder.

    Raises:
        UotaError: a shard is missing or compressed, or there are none.
    """
    if re.match(r"\w+://|pipe:", name):
        raise UotaError(f"{name} is not a file, and shards are read from disks; mount their storage, or copy them")
    path = path_of(name)
    if path.is_dir():
        described = _described(path, "shards")  # including those that an interrupted `uota shard` did not reach
        found = [path / shard for shard in described or _tars_in(path, left_out or LeftOut())]
    else:
        found = [Path(shard) for one in expand_braces(str(path)) for shard in (sorted(glob(one)) or [one])]
        found = list(dict.fromkeys(found))
    compressed = next((shard for shard in found if shard.name.lower().endswith(COMPRESSED)), None)
    if compressed:
        raise UotaError(
            f"{compressed} is compressed, so that images in it cannot be located; decompress it to a plain .tar"
        )
    missing = [shard for shard in found if not shard.is_file()]
    if missing:
        others = f", nor are there {len(missing) - 1} more of the {len(found)} in {name}" if len(missing) > 1 else ""
        folder = path if path.is_dir() else path.parent
        raise UotaError(f"there is no shard {missing[0]}{others}; write them with uota shard FOLDER --out {folder}")
    if not found:
        raise UotaError(f"{name} has no shards; give a folder with files that end in .tar")
    return found


def _tars_in(folder: Path, left_out: LeftOut) -> list[str]:
    """Names of the tar files in a folder; if it has compressed ones only, of those."""
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    tars = [name for name in names if name.lower().endswith(".tar")]
    compressed = [name for name in names if name.lower().endswith(COMPRESSED)]
    for name in compressed if tars else []:
        left_out.add("compressed tar file(s) are not read: decompress them", name)
    return tars or compressed


def expand_braces(pattern: str) -> list[str]:
    """Expand `{000..099}` and `{a,b}`, nested or not, as a shell does.

    Raises:
        UotaError: the pattern has more than `MOST_SHARDS` expansions.

    >>> expand_braces("{a,b}-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    names = list(islice(_expanded(pattern), MOST_SHARDS + 1))
    if len(names) > MOST_SHARDS:
        raise UotaError(f"{pattern} expands to more than {MOST_SHARDS} shards; remove a digit")
    return list(dict.fromkeys(names))  # nested braces repeat the inner options for each of the outer


def _expanded(pattern: str) -> Iterator[str]:
    brace = re.search(r"\{([^{}]*(?:\.\.|,)[^{}]*)\}", pattern)
    if brace is None:
        yield pattern
        return
    before, after = pattern[: brace.start()], pattern[brace.end() :]
    for option in _options(brace[1]):
        yield from _expanded(f"{before}{option}{after}")


def _options(inside: str) -> Iterable[str]:
    span = re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", inside)
    if span is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    width = max(map(len, span.groups())) if any(end.startswith("0") and end != "0" for end in span.groups()) else 0
    step = 1 if last >= first else -1
    return (f"{number:0{width}d}" for number in range(first, last + step, step))


def _of_split(shards: list[Path], split: Split, left_out: LeftOut) -> tuple[list[Path], bool]:
    """The shards of a split, and whether their names have splits."""
    of = {shard: [split_of(word) for word in re.split(r"[^a-z]+", shard.stem.lower())] for shard in shards}
    train = [shard for shard in shards if "train" in of[shard]]
    test = [shard for shard in shards if "test" in of[shard] and "train" not in of[shard]]
    if split == "all" or not train or not test:
        return shards, False
    for shard in shards:
        if shard not in (*train, *test):
            left_out.add("shard(s) are named neither train nor test, and are not used", shard.name)
    return (train if split == "train" else test), True


def _indices(shards: list[Path]) -> list[TarIndex]:
    found: list[Any] = [stored_index(shard) for shard in shards]
    missing = [number for number, index in enumerate(found) if index is None]
    if missing:
        with Progress(transient=True) as bar:
            for number in bar.track(missing, description="indexing shards"):
                found[number] = make_index(shards[number])
    return found


def _described(folder: Path, what: str) -> list[str] | None:
    """An entry of the description that `uota shard` wrote; None for shards of other programs."""
    try:
        found = read_json(folder / DESCRIPTION)[what]
        if found is not None and not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
            raise ValueError(f"its {what} are not a list of names")
        if what == "shards" and any(Path(name).name != name for name in found or []):
            raise ValueError("its shards are in other folders")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UotaError(f"{folder / DESCRIPTION} cannot be read ({error}); write the shards again") from error
    return found
