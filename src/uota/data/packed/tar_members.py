"""The members of a tar file, read to the end of the file, with a limit on the size of their headers."""

import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from uota.io.reading import open_regular

Member = tuple[tarfile.TarInfo, tarfile.TarFile]
BLOCK = 512  # bytes in a block of a tar file
# Largest size of the headers of one member; extended headers have its name and attributes.
HEADER_BYTES = 2**20


class _Bounded:
    """A file with a limit on how much is read at a time, because headers state their own length and may be forged."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.left = file, HEADER_BYTES

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"a header of more than {HEADER_BYTES} bytes")
        return self.file.read(size)

    def seek(self, place: int) -> int:
        return self.file.seek(place)

    def tell(self) -> int:
        return self.file.tell()


def members_of(path: Path) -> Iterator[Member]:
    """All members of a tar file, including those of appended archives, each with the `TarFile` that reads it.

    Raises:
        tarfile.TarError: the file is damaged, or ends without the blocks of zeros that end an archive.
        OSError: it cannot be read.
    """
    with open(open_regular(path), "rb") as file:
        start: int | None = 0
        while start is not None:
            end = yield from _members_from(file, start)
            start = _next_archive(file, end)


def _members_from(file: BinaryIO, start: int) -> Generator[Member, None, int]:
    """The members of the archive that starts at an offset; returns the offset of its end."""
    file.seek(start)
    bounded: Any = _Bounded(file)
    try:
        with tarfile.open(fileobj=bounded, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # otherwise all of them stay in memory
                yield member, tar
                bounded.left = HEADER_BYTES
            return tar.offset
    except RecursionError as error:
        raise tarfile.ReadError("endlessly nested headers") from error


def _next_archive(file: BinaryIO, end: int) -> int | None:
    """Offset of the archive after the zeros that end one; None if the file ends with them.

    Raises:
        tarfile.ReadError: there are no zeros (`tarfile` mistakes damage after the first member for the end).
    """
    file.seek(end)
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise tarfile.ReadError("it ends without the blocks of zeros that end an archive")
    if block.strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {end}")
    while block and not block.strip(b"\0"):
        end += len(block)
        block = file.read(BLOCK)
    return end if block else None
