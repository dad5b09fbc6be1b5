"""The members of a tar file, read to its very end, and no more of any header than a name may take."""

import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from uota.io.reading import open_regular

Member = tuple[tarfile.TarInfo, tarfile.TarFile]
BLOCK = 512  # bytes; a tar file is made of these
# A header may bring others, with names and attributes of its member; what takes more of them is no name.
HEADER_BYTES = 2**20


class _Bounded:
    """A file of which only so much is read at a time: headers of tar files say how long they are, and may lie."""

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
    """All members of a tar file, those of archives that were appended to it included, each with what reads it.

    Raises:
        tarfile.TarError: the file is damaged, or ends before the blocks of zeros that end an archive.
        OSError: it cannot be read.
    """
    with open(open_regular(path), "rb") as file:
        start: int | None = 0
        while start is not None:
            end = yield from _members_from(file, start)
            start = _next_archive(file, end)


def _members_from(file: BinaryIO, start: int) -> Generator[Member, None, int]:
    """The members of the archive that begins at a byte; returns the byte at which it ends."""
    file.seek(start)
    bounded: Any = _Bounded(file)
    try:
        with tarfile.open(fileobj=bounded, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # they would all stay in memory
                yield member, tar
                bounded.left = HEADER_BYTES
            return tar.offset
    except RecursionError as error:
        raise tarfile.ReadError("headers of headers without end") from error


def _next_archive(file: BinaryIO, end: int) -> int | None:
    """Where another archive begins behind the zeros that end one; None: the file ends with them.

    Raises:
        tarfile.ReadError: there are no zeros (`tarfile` takes damage behind the first member for the end).
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
