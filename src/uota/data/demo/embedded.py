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
    """8,000 training or 2,000 test images (1, 28, 28), or both, with labels; the 10 classes take turns."""
    pixels = _pixels(split)
    return TensorSource("demo", pixels, torch.arange(len(pixels)) % len(CLASSES), CLASSES, "small-grey")


def to_sheet(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (n, 28, 28), n a multiple of 80, side by side in rows of 80."""
    rows = images.reshape(-1, COLUMNS, SIDE, SIDE)
    return rows.transpose(0, 2, 1, 3).reshape(-1, COLUMNS * SIDE)


def from_sheet(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inverse of `to_sheet`."""
    rows = sheet.reshape(-1, SIDE, COLUMNS, SIDE)
    return rows.transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)


@lru_cache(maxsize=3)
def _pixels(split: Split) -> Tensor:
    if split == "all":
        return torch.cat([_pixels("train"), _pixels("test")])
    with Image.open(FOLDER / f"{split}.png") as sheet:
        return torch.from_numpy(from_sheet(np.asarray(sheet)))[:, None]
