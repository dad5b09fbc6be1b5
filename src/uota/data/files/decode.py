"""Decodes one image file of any supported format to a uint8 tensor."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from uota.data.files.formats import HEAD, REMEDIES, format_of_content, kind_of_picture, readable_formats
from uota.data.files.jpeg import decode_usual_jpeg, frame_of
from uota.data.files.pixels import WHITE, Colour, PixelRange, from_pillow, is_deep
from uota.data.files.png import head_of, without_texts
from uota.io.reading import NotRegularError, open_regular
from uota.settings.pretrain import IMAGE_MEGABYTES

# Bytes of a pixel by Pillow's mode; 4 for other modes.
BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "RGB": 3}
# Every row of an image takes some memory besides its pixels, as does every column when it is shrunk.
LEAST_SIDE = 64
LIMIT = Lock()


class UnreadableError(Exception):
    """A file that is not a complete image. Sources catch this and skip the file; users never see it."""


def read_image(
    path: Path,
    channels: int = 3,
    background: Colour = WHITE,
    max_side: int | None = None,
    pixel_range: PixelRange | None = None,
    megabytes: int = IMAGE_MEGABYTES,
) -> UInt8[Tensor, "channels height width"]:
    """Read the first frame of an image, upright (by its EXIF orientation).

    Args:
        path: a file of a format in `formats.py`; the content decides, not the extension.
        channels: 1 or 3.
        background: RGB colour behind transparent pixels.
        max_side: shrink so that no side is longer, keeping the proportions; None: keep the size.
        pixel_range: values of black and white, of images of more than 8 bits; None: 0 and 65535, of floats 0 and 1.
        megabytes: largest size of a decoded image.

    Raises:
        UnreadableError: it is not a regular file, is damaged, or is larger than `megabytes`.
        OSError: the file system fails.
    """
    try:
        return decode_image(read_file(path), channels, background, max_side, pixel_range, megabytes)
    except UnreadableError as error:
        raise UnreadableError(f"{path}: {error}") from error


def read_file(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file.

    Raises:
        UnreadableError: it is not a regular file.
        OSError: the file system fails.
    """
    try:
        with open(open_regular(path), "rb") as file:
            return np.fromfile(file, dtype=np.uint8)
    except NotRegularError as error:
        raise UnreadableError("not a regular file") from error


def decode_image(
    data: NDArray[np.uint8],
    channels: int = 3,
    background: Colour = WHITE,
    max_side: int | None = None,
    pixel_range: PixelRange | None = None,
    megabytes: int = IMAGE_MEGABYTES,
) -> UInt8[Tensor, "channels height width"]:
    """Decode the bytes of an image file as `read_image` does.

    Raises:
        UnreadableError: the image is incomplete, damaged or too large.
    """
    try:
        image = _usual_jpeg(data, channels, megabytes)
        if image is None:
            with _opened(data, channels, megabytes) as opened:
                image = from_pillow(opened, channels, background, pixel_range)
        return shrunk(image, max_side)
    except Exception as error:  # on hostile bytes decoders raise almost anything
        raise UnreadableError(_reason(data, error)) from error


def deep_pixels(data: NDArray[np.uint8], megabytes: int = IMAGE_MEGABYTES) -> NDArray[np.generic] | None:
    """The unscaled pixels of an image of more than 8 bits; None for other images, and for what is not an image."""
    try:
        with _opened(data, 1, megabytes) as image:
            return np.asarray(image) if is_deep(image.mode) else None
    except Exception:  # reported when the image is read
        return None


class Header(NamedTuple):
    """Contents of the header of an image.

    Attributes:
        height, width: size in pixels, before the image is turned upright.
        deep: whether it has more than 8 bits.
        several: whether it has several frames or pages.
    """

    height: int
    width: int
    deep: bool
    several: bool


def read_header(path: Path, max_side: int | None = None, channels: int = 3, megabytes: int = IMAGE_MEGABYTES) -> Header:
    """Read the header of an image, with its size after shrinking as in `read_image`.

    Raises:
        UnreadableError: it is not a regular file, of an unknown format, or larger than `megabytes`.
        OSError: the file system fails.
    """
    try:
        with open(open_regular(path), "rb") as file:
            return _header_of(file, path, max_side, channels, megabytes)
    except NotRegularError as error:
        raise UnreadableError(f"{path}: not a regular file") from error


def _has_several(image: Image.Image) -> bool:
    """Whether an image is an animation or has several pages; previews that cameras embed do not count."""
    return image.format in ("GIF", "PNG", "WEBP", "TIFF") and bool(getattr(image, "is_animated", False))


def _header_of(file: BinaryIO, path: Path, max_side: int | None, channels: int, megabytes: int) -> Header:
    head = head_of(file)
    file.seek(0)
    try:
        with _opened(file if head is None else head, channels, megabytes) as image:
            size = _shrunk_size(image.height, image.width, max_side)
            return Header(*size, is_deep(image.mode), _has_several(image))
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # from the file system; Pillow's have no number
            raise
        raise UnreadableError(f"{path}: {_reason(_head(file), error)}") from error


def reason_of(error: UnreadableError, path: Path) -> str:
    """Why a file cannot be read, without the name of the file."""
    return str(error).removeprefix(f"{path}: ")


@contextmanager
def _opened(data: NDArray[np.uint8] | bytes | BinaryIO, channels: int, megabytes: int) -> Iterator[Image.Image]:
    """An opened image whose header has been read, and whose size is within the limit."""
    pixels = without_texts(data.data) if isinstance(data, np.ndarray) else data
    file = BytesIO(pixels) if isinstance(pixels, bytes | memoryview) else pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about odd metadata are of no use in training
        try:
            with _lifted_pillow_limit(megabytes):
                image = Image.open(file, formats=readable_formats())
        except Image.DecompressionBombError as error:
            raise ValueError(f"its pixels would take more than the {_allowed(megabytes)}") from error
        with image:
            _check_size(image, channels, megabytes)
            yield image


@contextmanager
def _lifted_pillow_limit(megabytes: int) -> Iterator[None]:
    """Lift Pillow's own limit on the size of images if the user allows more than the default."""
    if megabytes <= IMAGE_MEGABYTES:
        yield
        return
    with LIMIT:  # the limit is global to all threads
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _size_of(height: int, width: int, channels: int) -> int:
    """Bytes that an image takes once decoded."""
    return max(height, LEAST_SIDE) * max(width, LEAST_SIDE) * channels


def _check_size(image: Image.Image, channels: int, megabytes: int) -> None:
    size = _size_of(image.height, image.width, max(BYTES.get(image.mode, 4), channels))
    if size > megabytes * 2**20:
        raise ValueError(
            f"its {image.width}×{image.height} pixels would take {size / 2**20:.0f} MB, more than the "
            + _allowed(megabytes)
        )


def _allowed(megabytes: int) -> str:
    return f"{megabytes} MB that --image-megabytes allows"


def _usual_jpeg(data: NDArray[np.uint8], channels: int, megabytes: int) -> Tensor | None:
    """Decode a JPEG file that Pillow need not look at: neither in CMYK nor damaged nor too large; None otherwise."""
    frame = frame_of(data)
    if frame is None or _size_of(frame.height, frame.width, max(frame.channels, channels)) > megabytes * 2**20:
        return None
    return decode_usual_jpeg(data, channels)


def _reason(data: NDArray[np.uint8] | bytes, error: Exception) -> str:
    """Why an image cannot be read, in words for users."""
    if not isinstance(error, UnidentifiedImageError):
        return " ".join(str(error).split()) or type(error).__name__
    head = bytes(data[:HEAD])
    if not head:
        return "the file is empty"
    known = format_of_content(head)
    if known in REMEDIES and known not in readable_formats():
        return f"{known} needs: {REMEDIES[known]}"
    kind = kind_of_picture(head)
    return f"{kind} is not read; convert it to PNG" if kind else "not an image of a known format"


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD)


def shrunk(image: Tensor, max_side: int | None) -> Tensor:
    """The image, shrunk if needed so that no side is longer than `max_side`."""
    height, width = image.shape[-2:]
    size = _shrunk_size(height, width, max_side)
    return image if size == (height, width) else resized(image, size)


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The image at a smaller size, with antialiasing."""
    if 1 in size:  # torch 2.14's uint8 kernel goes wrong, silently or with an error, where a side becomes 1
        return interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)
    return interpolate(image[None], size, mode="bilinear", antialias=True)[0].contiguous()


def _shrunk_size(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    longest = max(height, width)
    if max_side is None or longest <= max_side:
        return height, width
    # round() treats height and width alike, so that an image on its side shrinks to the same size on its side.
    return max(1, round(height * max_side / longest)), max(1, round(width * max_side / longest))
