"""Decodes images on demand, wherever their files are stored, and substitutes those that cannot be decoded."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.data.files.cache import Cache
from uota.data.files.copies import CopyOptions, ShrunkCopies
from uota.data.files.decode import UnreadableError, decode_image, deep_pixels
from uota.data.files.patience import patiently
from uota.data.files.pixel_range import estimate_pixel_range, spread_indices
from uota.data.files.pixels import Colour, PixelRange
from uota.errors import UotaError
from uota.settings.pretrain import IMAGE_MEGABYTES
from uota.settings.ranges import RANGES, check_number, check_pixel_range


@runtime_checkable
class Files(Protocol):
    """Encoded images by index: files in a folder, members of tar files, cells of a table."""

    def __len__(self) -> int:
        """Number of files."""
        ...

    def path(self, index: int) -> Path:
        """Path by which people know an image; for one in a larger file, the path of that file and its name there."""
        ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image.

        Raises:
            UnreadableError: there are no bytes to read.
            OSError: the file system fails.
        """
        ...

    def identity(self, index: int) -> bytes:
        """Bytes that change when an image's file is moved or written; the image is not read.

        Raises:
            OSError: the file system fails.
        """
        ...

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Bytes that tell these images and their order from others, whatever folder they are in; none are read."""
        ...


@dataclass(frozen=True)
class FolderOptions:
    """How image files are read.

    Attributes:
        channels: 1 (grey) or 3 (RGB); files are converted.
        max_side: shrink images on reading so that no side is longer; None: keep their sizes.
        background: RGB colour behind transparent pixels.
        cache_megabytes: keep decoded images in memory if all of them take no more than this; 0: never.
        pixel_range: values of black and white in images of more than 8 bits; None: estimated from a sample.
        image_megabytes: largest decoded size of an image; larger ones are not read.
        copies: read images from shrunk copies of them, which are made the first time; None: read their files.
    """

    channels: int = 3
    max_side: int | None = None
    background: Colour = (255, 255, 255)
    cache_megabytes: int = 512
    pixel_range: PixelRange | None = None
    image_megabytes: int = IMAGE_MEGABYTES
    copies: CopyOptions | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.channels not in (1, 3):
            raise UotaError(f"channels={self.channels}: images are read with 1 channel (grey) or 3 (RGB)")
        if self.max_side is not None and self.max_side < 1:
            raise UotaError(f"max_side={self.max_side} must be at least 1 pixel, or None to keep the sizes")
        if any(not 0 <= value <= 255 for value in self.background):
            raise UotaError(f"background={self.background} must be three numbers from 0 to 255")
        check_number("image_megabytes", self.image_megabytes, RANGES["image_megabytes"])
        check_pixel_range(self.pixel_range)

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which an image is read whose header, after `max_side`, has these."""
        return (height, width) if self.copies is None else self.copies.size_of(height, width)


def estimated_range(files: Files, options: FolderOptions) -> PixelRange | None:
    """Values of black and white, estimated from some of the files; None if none of these has more than 8 bits."""

    def some() -> Iterator[NDArray[np.generic]]:
        for index in spread_indices(len(files)):
            with suppress(UnreadableError, OSError):  # reported when the image is read
                pixels = deep_pixels(files.read(index), options.image_megabytes)
                if pixels is not None:
                    yield pixels

    return estimate_pixel_range(some())


class Decoded:
    """Decodes the images of `files`; `cache` keeps decoded images and remembers unreadable ones.

    An image that cannot be decoded is replaced by the next readable one with the same number in `substitute_group`, or
    else by the next readable one of all. The choice is the same in every process.
    """

    def __init__(
        self,
        name: str,
        files: Files,
        options: FolderOptions,
        cache: Cache,
        substitute_group: Int64[np.ndarray, " len"] | None,
    ) -> None:
        """Keep the arguments; nothing is read yet, and `name` is used in messages."""
        self.name, self.files, self.options, self.cache = name, files, options, cache
        self.substitute_group = substitute_group
        self.copies = _copies(options, len(files))

    def image(self, index: int) -> UInt8[Tensor, "channels _height _width"]:
        """The image, or its substitute if it cannot be decoded.

        Raises:
            UotaError: no image can be decoded, or the file system fails.
        """
        for candidate in self._candidates(index):
            image = self.own(candidate)
            if image is not None:
                return image
        count = len(self.files)
        raise UotaError(f"none of the {count} images of {self.name} can be read; all are damaged")

    def own(self, index: int) -> UInt8[Tensor, "channels _height _width"] | None:
        """The image itself; None if it cannot be decoded."""
        if self.cache.is_bad(index):
            return None
        kept = self.cache.get(index)
        if kept is not None:
            return kept
        try:
            image = self._shrunk(index)
        except UnreadableError:
            self.cache.mark_bad(index)
            return None
        self.cache.put(index, image)
        return image

    def _shrunk(self, index: int) -> UInt8[Tensor, "channels _height _width"]:
        """The image from its shrunk copy, if there shall be copies, and else from its file."""
        if self.copies is None:
            return self._from_file(index)
        identity = patiently(lambda: self.files.identity(index), self.files.path(index))
        return self.copies.image(index, identity, lambda: self._from_file(index))

    def _from_file(self, index: int) -> UInt8[Tensor, "channels _height _width"]:
        o = self.options
        data = patiently(lambda: self.files.read(index), self.files.path(index))
        return decode_image(data, o.channels, o.background, o.max_side, o.pixel_range, o.image_megabytes)

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images that could not be decoded so far, by this process or its forked workers."""
        return torch.isin(images, torch.tensor(self.cache.bad(), dtype=torch.int64))

    def unreadable_paths(self) -> list[Path]:
        """Paths of these images."""
        return [self.files.path(index) for index in self.cache.bad()]

    def _candidates(self, index: int) -> Iterator[int]:
        """Indices in the order in which they are tried: the image itself, its substitute group, all others."""
        yield index
        count = len(self.files)
        after = (index + np.arange(1, count)) % count
        if self.substitute_group is not None:
            same = self.substitute_group[after] == self.substitute_group[index]
            after = np.concatenate([after[same], after[~same]])
        yield from after.tolist()


def _copies(options: FolderOptions, count: int) -> ShrunkCopies | None:
    if options.copies is None:
        return None
    read_as = options.max_side, options.background, options.pixel_range
    return ShrunkCopies(options.copies, count, options.channels, options.image_megabytes, *read_as)
