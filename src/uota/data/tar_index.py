"""Where the images of a tar shard lie: found by one pass over its headers, and kept beside it."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from uota.data.listing import EXTENSIONS
from uota.errors import UotaError
from uota.runs import whole_file

UNLABELLED = -1
BLOCK = 512  # bytes; a tar file is made of these


@dataclass(frozen=True)
class TarIndex:
    """The images of one or several shards, in their order.

    Attributes:
        starts, sizes: of an image in its shard, in bytes.
        labels: the number in the sample's `.cls`; -1 where there is none.
        names: of all images, one after another, as the file system encodes them.
        lengths: of each name, in bytes.
    """

    starts: Int64[np.ndarray, " images"]
    sizes: Int64[np.ndarray, " images"]
    labels: Int64[np.ndarray, " images"]
    names: UInt8[np.ndarray, " bytes"]
    lengths: Int64[np.ndarray, " images"]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.starts)

    def each_name(self) -> Iterator[bytes]:
        """The images' names."""
        ends = self.lengths.cumsum()
        return (self.names[end - length : end].tobytes() for end, length in zip(ends, self.lengths, strict=True))


def joined(indices: list[TarIndex]) -> TarIndex:
    """The images of several shards as one."""
    names = [field.name for field in fields(TarIndex)]
    return TarIndex(*(np.concatenate([getattr(index, name) for index in indices]) for name in names))


def stored_index(shard: Path) -> TarIndex | None:
    """The index beside a shard; None where there is none, or the shard has changed since."""
    with suppress(Exception), np.load(_beside(shard), allow_pickle=False) as stored:
        if stored["stamp"].tolist() == _stamp(shard):
            return TarIndex(*(stored[field.name] for field in fields(TarIndex)))
    return None


def make_index(shard: Path) -> TarIndex:
    """Look through a shard, and keep what was found beside it where one may write.

    A sample is what WebDataset takes for one: neighbours whose names agree up to the first dot. Its image is the
    first with an image's extension, one dot before two (`a.jpg` before `a.mask.png`); samples without are left out.

    Raises:
        UotaError: the shard is no whole plain tar file.
    """
    try:
        stamp = _stamp(shard)
        with tarfile.open(shard, "r:") as tar:
            samples = groupby(_members(tar), key=lambda member: sample_name(member.name)[0])
            rows = [row for _, members in samples if (row := _row(tar, list(members)))]
            _refuse_remains(tar)
    except (tarfile.TarError, OSError) as error:
        raise UotaError(
            f"{shard} is no plain tar file, or not a whole one ({error}): copy it again if it was cut short, "
            "and unpack it if it is compressed"
        ) from error
    starts, sizes, labels = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3).T.copy()
    names = [name for *_, name in rows]
    lengths = np.array([len(name) for name in names], dtype=np.int64)
    index = TarIndex(starts, sizes, labels, np.frombuffer(b"".join(names), dtype=np.uint8), lengths)
    with suppress(UotaError), whole_file(_beside(shard)) as unfinished, unfinished.open("wb") as file:
        np.savez(file, stamp=stamp, **vars(index))
    return index


def sample_name(member: str) -> tuple[str, str]:
    """A member's name in two: the sample's, which ends at the first dot of the file's name; and the extension."""
    folder, slash, file = member.rpartition("/")
    stem, _, extension = file.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The plain files, of which `tar` would keep all in memory; not the hidden ones."""
    while (member := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]
        if member.isreg() and not member.issparse() and not member.name.rpartition("/")[2].startswith("."):
            yield member


def _row(tar: tarfile.TarFile, members: list[tarfile.TarInfo]) -> tuple[int, int, int, bytes] | None:
    """Start, size, label and name of a sample's image."""
    extensions = [sample_name(member.name)[1] for member in members]
    images = [place for place, extension in enumerate(extensions) if f".{extension}".endswith(EXTENSIONS)]
    if not images:
        return None
    image = members[min(images, key=lambda place: extensions[place].count("."))]
    label = UNLABELLED
    if "cls" in extensions and (file := tar.extractfile(members[extensions.index("cls")])):
        with suppress(ValueError):
            label = int(file.read(32))
    return image.offset_data, image.size, label, os.fsencode(image.name)


def _refuse_remains(tar: tarfile.TarFile) -> None:
    """`tarfile` takes damage behind the first member for the end of the file."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)  # type: ignore[attr-defined]
    if tar.fileobj.read(BLOCK).strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {tar.offset}")  # type: ignore[attr-defined]


def _beside(shard: Path) -> Path:
    return shard.with_name(f"{shard.name}.index")


def _stamp(shard: Path) -> list[int]:
    status = shard.stat()
    return [status.st_size, status.st_mtime_ns]
