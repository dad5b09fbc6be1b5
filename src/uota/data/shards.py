"""Tar shards in WebDataset's layout, read by the place of each image: nothing is unpacked."""

import json
import os
import re
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from rich.progress import Progress

from uota.data.decoded import FolderOptions
from uota.data.listing import EXTENSIONS, TEST_FOLDERS, in_share
from uota.data.packed import Packed
from uota.data.source import Split
from uota.data.tar_index import UNLABELLED, TarIndex, joined, make_index, stored_index
from uota.errors import UotaError

# Beside the shards: what `uota shard` says of them.
DESCRIPTION = "shards.json"
OPEN_AT_ONCE = 64


class Shards:
    """The images of tar files, by index: 48 bytes and a name for each in memory."""

    def __init__(self, shards: list[Path], which: Int64[np.ndarray, " len"], index: TarIndex) -> None:
        """Image i lies in `shards[which[i]]`."""
        self.shards, self.which, self.index = shards, which, index
        self.name_ends = index.lengths.cumsum()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.which)

    def path(self, index: int) -> Path:
        """The shard, and the name in it, as one path."""
        end, length = int(self.name_ends[index]), int(self.index.lengths[index])
        return self.shards[self.which[index]] / os.fsdecode(self.index.names[end - length : end].tobytes())

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image.

        Raises:
            OSError: the shard is gone, or was cut short.
        """
        data = np.empty(int(self.index.sizes[index]), dtype=np.uint8)
        shard = self.shards[self.which[index]]
        if os.preadv(_opened(shard).descriptor, [data.data], int(self.index.starts[index])) < len(data):
            raise OSError(f"{shard} was cut short")
        return data

    def some(self, chosen: Bool[np.ndarray, " len"]) -> "Shards":
        """These images only."""
        index, of_names = self.index, np.repeat(chosen, self.index.lengths)
        starts, sizes, labels, lengths = (
            array[chosen] for array in (index.starts, index.sizes, index.labels, index.lengths)
        )
        some = TarIndex(starts, sizes, labels, index.names[of_names], lengths)
        return Shards(self.shards, self.which[chosen], some)


class _Opened:
    """A file that is open for as long as somebody has this."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


# On a network's disk opening a file takes longer than reading an image from one that is open.
_opened = lru_cache(maxsize=OPEN_AT_ONCE)(_Opened)


def are_shards(name: str) -> bool:
    """Whether this names tar files, by a pattern or as a folder of nothing but such."""
    path = Path(name).expanduser()
    if not path.is_dir():
        return name.endswith(".tar")
    if (path / DESCRIPTION).is_file():
        return True
    with os.scandir(path) as entries:
        names = [entry.name.lower() if entry.is_file() else "folder.jpg" for entry in entries]
    return any(name.endswith(".tar") for name in names) and not any(name.endswith(EXTENSIONS) for name in names)


def open_shards(name: str, split: Split, options: FolderOptions | None = None) -> Packed:
    """The images of a split of tar shards.

    Shards that are called train and test (or val) are these splits. Of others a fifth of each class is test, by a
    hash of the name, where every sample has a number in `.cls`; else both splits are all images.

    Args:
        name: `shards-{000..099}.tar`, `shards-*.tar`, one .tar file, or a folder of such.
        split: train or test.
        options: how images are read; none are kept in memory.

    Raises:
        UotaError: a shard is missing or damaged, or there are no images.
    """
    _opened.cache_clear()  # a shard may have been written anew
    shards, in_name = _of_split(find_shards(name), split)
    indices = _indices(shards)
    index = joined(indices)
    files = Shards(shards, np.repeat(np.arange(len(shards)), [len(one) for one in indices]), index)
    if len(files) < 2:
        raise UotaError(f"{name} has {len(files)} image(s) in {len(shards)} shard(s): at least two images are needed.")
    labelled = bool((index.labels != UNLABELLED).all())
    if labelled and not in_name:
        files = files.some(in_share(index.each_name(), index.labels, split))
        if not len(files):
            raise UotaError(f"{name} has too few images of every class to set some aside: give at least 3 of each.")
    empty = [shard for shard, one in zip(shards, indices, strict=True) if not len(one)]
    labels = files.index.labels if labelled else None
    parts = np.bincount(files.which, minlength=len(shards))
    classes = _described(shards[0].parent, "classes")
    return Packed(name, files, labels, classes, options or FolderOptions(), parts, empty)


def find_shards(name: str) -> list[Path]:
    """The tar files of a pattern or a folder, sorted within each `*`.

    Raises:
        UotaError: one is missing, or there are none.
    """
    if re.match(r"\w+://|pipe:", name):
        raise UotaError(f"{name} is no file: shards are read from disks; mount the store they lie in, or copy them.")
    path = Path(name).expanduser()
    if path.is_dir():
        described = _described(path, "shards")  # with those that an interrupted `uota shard` did not come to
        found = [path / shard for shard in described or sorted(shard.name for shard in path.glob("[!.]*.tar"))]
    else:
        found = [Path(shard) for one in expand_braces(str(path)) for shard in (sorted(glob(one)) or [one])]
        found = list(dict.fromkeys(found))
    missing = [shard for shard in found if not shard.is_file()]
    if missing:
        others = f" nor are {len(missing) - 1} more of the {len(found)} that {name} names" if len(missing) > 1 else ""
        folder = path if path.is_dir() else path.parent
        raise UotaError(f"There is no shard {missing[0]}{others}: write them with uota shard FOLDER --out {folder}.")
    if not found:
        raise UotaError(f"{name} has no shards: no files that end in .tar.")
    return found


def expand_braces(pattern: str) -> list[str]:
    """All that a shell makes of `{000..099}` and `{a,b}`, nested or not.

    >>> expand_braces("{a,b}-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    brace = re.search(r"\{([^{}]*(?:\.\.|,)[^{}]*)\}", pattern)
    if brace is None:
        return [pattern]
    before, after = pattern[: brace.start()], pattern[brace.end() :]
    expanded = (text for option in _options(brace[1]) for text in expand_braces(f"{before}{option}{after}"))
    return list(dict.fromkeys(expanded))  # of nested braces the inner options come once for each of the outer


def _options(inside: str) -> list[str]:
    span = re.fullmatch(r"(\d+)\.\.(\d+)", inside)
    if span is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    width = max(map(len, span.groups())) if any(end.startswith("0") and end != "0" for end in span.groups()) else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}d}" for number in range(first, last + step, step)]


def _of_split(shards: list[Path], split: Split) -> tuple[list[Path], bool]:
    """The shards of a split, and whether their names say so."""
    words = [set(re.split(r"[^a-z]+", shard.stem.lower())) for shard in shards]
    train = [shard for shard, of in zip(shards, words, strict=True) if "train" in of]
    test = [shard for shard, of in zip(shards, words, strict=True) if of.intersection(TEST_FOLDERS)]
    if not train or not test:
        return shards, False
    return (train if split == "train" else test), True


def _indices(shards: list[Path]) -> list[TarIndex]:
    found: list[Any] = [stored_index(shard) for shard in shards]
    missing = [number for number, index in enumerate(found) if index is None]
    if missing:
        with Progress(transient=True) as bar:
            for number in bar.track(missing, description="looking through shards"):
                found[number] = make_index(shards[number])
    return found


def _described(folder: Path, what: str) -> list[str] | None:
    """What `uota shard` wrote down of its shards; None for those of others."""
    try:
        return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))[what]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UotaError(f"{folder / DESCRIPTION} cannot be read ({error}): write the shards again.") from error
