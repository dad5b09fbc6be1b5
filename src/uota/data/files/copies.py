"""Shrunk copies of images: JPEG files in a folder that processes, ranks and runs share, made when an image is read."""

import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uota.data.files.decode import UnreadableError, decode_image, resized
from uota.errors import UotaError
from uota.io.atomic import atomic_write
from uota.io.outputs import path_of
from uota.io.reading import read_regular

# Value of the setting `cache_in` for copies that are gone when the run ends.
IN_MEMORY = "ram"
# A file system in memory, which all processes of a machine see.
MEMORY = Path("/dev/shm")
# Bytes that are left free for others; loading processes send batches through the file system in memory.
RESERVE = 10**9
QUALITY = 95  # as OpenCV and FFCV have it
LONGEST = 65_500  # sides of JPEG images, as libjpeg has it
# What stands behind the JPEG in a file: a mark, and a checksum that depends on the JPEG and on the name of the file.
MARK, CHECKSUM = b"\nuota shrunk copy 1\n", 4
END = len(MARK) + CHECKSUM
FOUND, MADE, NOT_KEPT = 1, 2, 3


@dataclass(frozen=True)
class CopyOptions:
    """How images are shrunk, and where their copies are.

    Attributes:
        side: short side of the copies in pixels; images whose short side is not longer have none.
        folder: of the copies.
    """

    side: int
    folder: Path

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which an image of this size is read."""
        short = min(height, width)
        if short <= self.side:
            return height, width
        # Height and width are treated alike, so that an image on its side shrinks to the same size on its side.
        return round(height * self.side / short), round(width * self.side / short)


@dataclass(frozen=True)
class Tally:
    """What is known of the images that were read so far, by this process and its forked workers.

    Attributes:
        found: images whose copies were there.
        made: images whose copies were made.
        not_kept: images whose copies could not be written.
    """

    found: int
    made: int
    not_kept: int


def copies_folder(cache_in: str | None) -> Path:
    """The folder that the setting `cache_in` means.

    Raises:
        UotaError: it is `ram`, and there is no file system in memory, or another user's folder is there.
    """
    if cache_in != IN_MEMORY:
        return default_folder() if cache_in is None else path_of(cache_in)
    if not MEMORY.is_dir():
        raise UotaError(f"cache_in is {IN_MEMORY}, and there is no {MEMORY} on this machine; give a folder")
    folder = MEMORY / f"uota-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UotaError(f"{folder} belongs to another user, who could exchange its images; give cache_in a folder")
    return folder


def default_folder() -> Path:
    """The folder of copies in the user's caches, beside those of torch and Hugging Face."""
    return path_of(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "uota" / "shrunk"


class ShrunkCopies:
    """The copies of the images of one source.

    Whoever asks for an image gets the pixels of its copy, also the process that makes the copy: a run is the same
    whether they are there or not. A file that is damaged, incomplete or not a copy of this image is made again.
    """

    def __init__(self, options: CopyOptions, count: int, channels: int, megabytes: int, *read_as: Any) -> None:
        """Prepare for `count` images.

        Args:
            options: size and folder of the copies.
            count: number of images.
            channels: of the images, 1 or 3.
            megabytes: largest decoded size of an image.
            read_as: whatever else decides about the pixels of an image.
        """
        self.options, self.count, self.channels, self.megabytes = options, count, channels, megabytes
        self.read_as = json.dumps([MARK.decode(), QUALITY, options.side, channels, megabytes, *read_as]).encode()
        # Anonymous mappings, which forked processes share: of each image what was done, and the size of its copy.
        self._done = np.frombuffer(mmap.mmap(-1, max(1, count)), dtype=np.uint8)
        self._bytes = np.frombuffer(mmap.mmap(-1, max(1, count) * 4), dtype=np.int32)

    def image(
        self, index: int, identity: bytes, read: Callable[[], UInt8[Tensor, "channels _height _width"]]
    ) -> UInt8[Tensor, "channels _height _width"]:
        """The image from its copy, which is made if necessary; an image that is small enough as `read` returns it.

        Args:
            index: of the image.
            identity: bytes that change when the image's file does.
            read: reads the image itself.

        Raises:
            UnreadableError: it cannot be read.
        """
        name = hashlib.blake2b(identity + b"\0" + self.read_as, digest_size=20).hexdigest()
        kept = self._kept(index, name)
        return self._made(index, name, read()) if kept is None else kept

    def tally(self) -> Tally:
        """What is known so far."""
        return Tally(*(int(np.count_nonzero(self._done == each)) for each in (FOUND, MADE, NOT_KEPT)))

    def bytes_of(self, indices: Sequence[int]) -> int:
        """Size of the copies of these images as far as they were read, also of those that could not be written."""
        return int(self._bytes[list(indices)].sum(dtype=np.int64))

    def _kept(self, index: int, name: str) -> Tensor | None:
        """The image from its copy; None if there is none, or none that can be used."""
        try:
            data = bytearray(read_regular(self._path(name), self.megabytes * 2**20))
            jpeg = memoryview(data)[:-END]
            if data[-END:] != _end_of(jpeg, name):
                return None
            image = self._decoded(jpeg)
        except (OSError, UnreadableError):
            return None
        if min(image.shape[-2:]) != self.options.side:
            return None
        self._note(index, FOUND, len(data))
        return image

    def _made(self, index: int, name: str, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        size = self.options.size_of(height, width)
        if size == (height, width):
            return image
        small = resized(image, size)
        if max(size) > LONGEST:
            return small
        jpeg = _encoded(small)
        written = self._written(name, jpeg + _end_of(jpeg, name))
        self._note(index, MADE if written else NOT_KEPT, len(jpeg) + END)
        return self._decoded(bytearray(jpeg))

    def _decoded(self, jpeg: bytearray | memoryview) -> Tensor:
        return decode_image(np.frombuffer(jpeg, dtype=np.uint8), self.channels, megabytes=self.megabytes)

    def _written(self, name: str, data: bytes) -> bool:
        """Write a copy; whether that was possible. A training does not stop because a cache is full."""
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < RESERVE:
                return False
            with atomic_write(path) as unfinished:
                unfinished.write_bytes(data)
        except (OSError, UotaError):
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.options.folder / name[:2] / f"{name[2:]}.jpg"

    def _note(self, index: int, what: int, size: int) -> None:
        # What was done first counts: later on a copy that was made is found.
        if self._done[index] in (0, NOT_KEPT):
            self._done[index], self._bytes[index] = what, size

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in a process that is not forked counts for itself."""
        return _again, (self.options, self.count, self.channels, self.megabytes, self.read_as)


def _again(options: CopyOptions, count: int, channels: int, megabytes: int, read_as: bytes) -> ShrunkCopies:
    copies = ShrunkCopies(options, count, channels, megabytes)
    copies.read_as = read_as
    return copies


def _encoded(image: UInt8[Tensor, "channels height width"]) -> bytes:
    pixels: NDArray[np.uint8] = image.permute(1, 2, 0).contiguous().numpy()
    file = BytesIO()
    Image.fromarray(pixels if len(image) == 3 else pixels[..., 0]).save(file, "jpeg", quality=QUALITY)
    return file.getvalue()


def _end_of(jpeg: bytes | memoryview, name: str) -> bytes:
    """What stands behind a JPEG in the file of this name."""
    return MARK + zlib.crc32(jpeg, zlib.crc32(name.encode())).to_bytes(CHECKSUM)
