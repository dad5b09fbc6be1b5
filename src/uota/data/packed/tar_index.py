"""Index of the images in a tar shard: made by one pass over the headers, and stored beside the shard."""

import json
import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from uota.data.files.formats import EXTENSIONS
from uota.data.files.left_out import LeftOut
from uota.data.files.pixel_range import spread_indices
from uota.data.files.splits import UNLABELLED
from uota.data.packed.tar_members import BLOCK, members_of
from uota.errors import UotaError
from uota.io.atomic import atomic_write
from uota.io.reading import open_regular

# Bytes of an index file besides its arrays.
INDEX_HEADERS = 2**16
# Images of a stored index that are looked up in the shard.
CHECKED = 16
LABEL_BYTES, LARGEST_LABEL = 32, 999_999
SECOND = "image(s) are not the first of their sample (samples are named up to the first dot), and are not used"


@dataclass(frozen=True)
class TarIndex:
    """The images of one or several shards, in their order.

    Attributes:
        starts, sizes: offset and size of each image in its shard, in bytes.
        labels: the number in the sample's `.cls`; -1 if there is none.
        names: the names of all images, concatenated, as the file system encodes them.
        lengths: length of each name in bytes.
        said: what was left out, as JSON.
    """

    starts: Int64[np.ndarray, " images"]
    sizes: Int64[np.ndarray, " images"]
    labels: Int64[np.ndarray, " images"]
    names: UInt8[np.ndarray, " bytes"]
    lengths: Int64[np.ndarray, " images"]
    said: UInt8[np.ndarray, " characters"]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.starts)

    def each_name(self) -> Iterator[bytes]:
        """Names of the images."""
        ends = self.lengths.cumsum()
        return (self.names[end - length : end].tobytes() for end, length in zip(ends, self.lengths, strict=True))

    def left_out(self) -> LeftOut:
        """What else is in the shard and is not used."""
        left_out = LeftOut()
        with suppress(ValueError, TypeError):  # another program may have written the index
            counts, left_out.examples = json.loads(self.said.tobytes())
            left_out.counts = Counter(counts)
        return left_out


def joined(indices: list[TarIndex]) -> TarIndex:
    """One index of the images of several shards, without what each left out."""
    names = [field.name for field in fields(TarIndex) if field.name != "said"]
    arrays = {name: np.concatenate([getattr(index, name) for index in indices]) for name in names}
    return TarIndex(**arrays, said=np.zeros(0, dtype=np.uint8))


def stored_index(shard: Path) -> TarIndex | None:
    """The index beside a shard; None if it is missing, older than the shard, or does not fit it."""
    place = _beside(shard)
    with suppress(Exception), zipfile.ZipFile(place) as parts:
        # Each image takes two blocks of its shard, far more than its entry in an index.
        if sum(part.file_size for part in parts.infolist()) > shard.stat().st_size + INDEX_HEADERS:
            return None
        with np.load(place, allow_pickle=False) as stored:
            if stored["stamp"].tolist() != _stamp(shard):
                return None
            index = TarIndex(*(stored[field.name] for field in fields(TarIndex)))
            return index if _fits(index, shard) else None
    return None


def _fits(index: TarIndex, shard: Path) -> bool:
    """Whether an index fits a shard: all images are within it, and a sample of headers agrees."""
    arrays = (index.starts, index.sizes, index.labels, index.lengths)
    if any(array.dtype != np.int64 or array.shape != index.starts.shape or array.ndim != 1 for array in arrays):
        return False
    if index.names.dtype != np.uint8 or index.lengths.sum() != len(index.names) or (index.lengths < 1).any():
        return False
    if (index.sizes < 0).any() or (index.starts < BLOCK).any() or (index.labels < UNLABELLED).any():
        return False
    if (index.starts + index.sizes > shard.stat().st_size).any() or (index.starts % BLOCK).any():
        return False
    with open(open_regular(shard), "rb") as file:
        checked = spread_indices(len(index), CHECKED)
        return all(_header_agrees(file, int(index.starts[at]), int(index.sizes[at])) for at in checked)


def _header_agrees(file: BinaryIO, start: int, size: int) -> bool:
    file.seek(start - BLOCK)
    header = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
    return header.size == size or header.size == 0  # an extended header has the size, and the header itself 0


def make_index(shard: Path) -> TarIndex:
    """Index a shard, and store the index beside it if the folder is writable.

    A sample is defined as in WebDataset: consecutive files whose names agree up to the first dot. Its image is the
    first file with an image extension, preferring fewer dots (`a.jpg` to `a.mask.png`); samples without an image are
    left out.

    Raises:
        UotaError: the shard is not a complete, uncompressed tar file.
    """
    left_out = LeftOut()
    try:
        stamp = _stamp(shard)
        samples = groupby(_files(shard, left_out), key=lambda member: sample_name(member.name)[0])
        rows = [row for _, members in samples if (row := _row(list(members), left_out))]
    except (tarfile.TarError, OSError) as error:
        raise UotaError(
            f"{shard} is not a complete, uncompressed tar file ({error}); copy it again if it is truncated, "
            "and decompress it if it is compressed"
        ) from error
    starts, sizes, labels = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3).T.copy()
    names = [name for *_, name in rows]
    lengths = np.array([len(name) for name in names], dtype=np.int64)
    said = np.frombuffer(json.dumps([left_out.counts, left_out.examples]).encode(), dtype=np.uint8)
    index = TarIndex(starts, sizes, labels, np.frombuffer(b"".join(names), dtype=np.uint8), lengths, said)
    with suppress(UotaError), atomic_write(_beside(shard)) as unfinished, unfinished.open("wb") as file:
        np.savez(file, stamp=stamp, **vars(index))
    return index


def sample_name(member: str) -> tuple[str, str]:
    """The name of a member's sample, which ends at the first dot of the file name, and the extension after it."""
    folder, slash, file = member.rpartition("/")
    stem, _, extension = file.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


class _File(NamedTuple):
    """A regular file in a tar file, with its first bytes if it is a label."""

    name: str
    start: int
    size: int
    label: bytes


def _files(shard: Path, left_out: LeftOut) -> Iterator[_File]:
    """The regular files that WebDataset reads: not hidden ones, nor those without an extension."""
    for member, tar in members_of(shard):
        file = member.name.rpartition("/")[2]
        if member.isdir() or file.startswith(".") or member.name.startswith("__"):
            continue
        if not member.isreg() or member.issparse():
            left_out.add("member(s) of shards are links or sparse files", member.name)
        elif "." not in file:
            left_out.add("member(s) of shards have no extension, and belong to no sample", member.name)
        else:
            read = tar.extractfile(member) if file.lower().endswith(".cls") else None
            yield _File(member.name, member.offset_data, member.size, read.read(LABEL_BYTES + 1) if read else b"")


def _row(members: list[_File], left_out: LeftOut) -> tuple[int, int, int, bytes] | None:
    """Start, size, label and name of a sample's image."""
    extensions = [sample_name(member.name)[1] for member in members]
    images = [place for place, extension in enumerate(extensions) if f".{extension}".endswith(EXTENSIONS)]
    if not images:
        left_out.add("sample(s) have no image", members[0].name)
        return None
    chosen = min(images, key=lambda place: extensions[place].count("."))
    for place, extension in enumerate(extensions):
        if place in images and place != chosen:
            left_out.add(SECOND, members[place].name)
        elif place not in images and extension != "cls":
            left_out.add(f".{extension} member(s) of samples are not read", members[place].name)
    label = _label(members[extensions.index("cls")], left_out) if "cls" in extensions else UNLABELLED
    image = members[chosen]
    return image.start, image.size, label, os.fsencode(image.name)


def _label(member: _File, left_out: LeftOut) -> int:
    """The number in a `.cls` file; -1 if it is not a valid label, which is counted in `left_out`."""
    text = member.label.strip()
    if len(member.label) <= LABEL_BYTES and text.isdigit() and int(text) <= LARGEST_LABEL:
        return int(text)
    if text and text != b"-1":  # which some programs write for a missing label
        left_out.add(f"label(s) in .cls are not whole numbers from 0 to {LARGEST_LABEL}", member.name)
    return UNLABELLED


def _beside(shard: Path) -> Path:
    return shard.with_name(f"{shard.name}.index")


def _stamp(shard: Path) -> list[int]:
    status = shard.stat()
    return [status.st_size, status.st_mtime_ns]
