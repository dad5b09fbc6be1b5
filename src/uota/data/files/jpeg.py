"""Decodes the usual JPEG files without Pillow, which takes a fifth of the time to read the header alone."""

import struct
import warnings
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

MODES = {1: ImageReadMode.GRAY, 3: ImageReadMode.RGB}
MARK, START = 0xFF, b"\xff\xd8"
# Markers of the usual frames: baseline, extended and progressive, all with Huffman codes.
FRAMES = (0xC0, 0xC1, 0xC2)
# Markers that may precede them: tables, restart intervals, what applications add, and comments.
BEFORE = (0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE)
BITS = 8


class Frame(NamedTuple):
    """The size of a JPEG image, before it is turned upright, and its number of channels."""

    height: int
    width: int
    channels: int


def frame_of(data: NDArray[np.uint8]) -> Frame | None:
    """The frame of a usual JPEG file: grey or in colours of 8 bits; None for anything else."""
    content, place = data.data, len(START)
    if content[:place] != START:
        return None
    while place + 10 <= len(content) and content[place] == MARK:
        kind, length = content[place + 1], struct.unpack_from(">H", content, place + 2)[0]
        if kind in FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", content, place + 4)
            usual = bits == BITS and height and width and channels in MODES
            return Frame(height, width, channels) if usual else None
        if kind not in BEFORE:
            return None
        place += 2 + length
    return None


def decode_usual_jpeg(data: NDArray[np.uint8], channels: int) -> UInt8[Tensor, "channels height width"] | None:
    """Decode a JPEG file upright, by its EXIF orientation; None if this decoder rejects it, as it does a few."""
    with warnings.catch_warnings():
        # TorchCodec, which shall replace this decoder, is not faster, and needs a later torch than this package does.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # bytes of a table; it only reads
        try:
            return decode_jpeg(torch.from_numpy(data), MODES[channels], apply_exif_orientation=True)
        except RuntimeError:
            return None
