"""`demo`: the 10,000 images of Fashion-MNIST that come with the package."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uota.data.demo.fashion_mnist import CLASSES
from uota.data.memory import TensorSource
from uota.data.source import Split

FOLDER = Path(__file__).parent / "embedded"
SIDE = 28
COLUMNS = 80


def open_demo(split: Split) -> TensorSource:
    """8,000 training or 2,000 test images (1, 28, 28) with labels; the 10 classes take turns."""
    pixels = _pixels(split)
    return TensorSource("demo", pixels, torch.arange(len(pixels)) % len(CLASSES), CLASSES, "small-grey")


def to_sheet(images: NDArray[np.uint8], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Square images (n, side, side) or (n, side, side, 3), n a multiple of `columns`, side by side in rows."""
    side, channels = images.shape[1], images.shape[3:]
    rows = images.reshape(-1, columns, side, side, *channels)
    return rows.swapaxes(1, 2).reshape(-1, columns * side, *channels)


def from_sheet(sheet: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """The inverse of `to_sheet`."""
    columns, channels = sheet.shape[1] // side, sheet.shape[2:]
    rows = sheet.reshape(-1, side, columns, side, *channels)
    return rows.swapaxes(1, 2).reshape(-1, side, side, *channels)


@lru_cache(maxsize=2)
def _pixels(split: Split) -> Tensor:
    with Image.open(FOLDER / f"{split}.png") as sheet:
        return torch.from_numpy(from_sheet(np.asarray(sheet)))[:, None]
