"""Real pictures with categories: Open Clip Art, as Debian's openclipart-png installs it."""

import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from uota.data import FolderOptions, Source, open_source
from uota.data.memory import TensorSource
from uota.errors import UotaError

FOLDER = Path("/usr/share/openclipart/png")
# All categories with a hundred drawings or more, except two that are no categories; at most 300 drawings of each.
CATEGORIES = (
    *("animals", "computer", "food", "geography", "office", "people", "recreation", "shapes", "signs_and_symbols"),
    *("tools", "transportation"),
)
AT_MOST = 300
SIDE = 56


@lru_cache(maxsize=2)
def open_drawings(split: str) -> Source:
    """Open drawings of 56 × 56 pixels, bright on black; four fifths of each category are for training."""
    if not FOLDER.is_dir():
        raise UotaError(f"there are no drawings in {FOLDER}; install them: apt-get install openclipart-png")
    with tempfile.TemporaryDirectory() as chosen:
        for category in CATEGORIES:
            (Path(chosen) / category).mkdir()
            for number, file in enumerate(sorted((FOLDER / category).rglob("*.png"))[:AT_MOST]):
                (Path(chosen) / category / f"{number:03}.png").symlink_to(file)
        source = open_source(chosen, split, FolderOptions(channels=1, background=(255, 255, 255), max_side=4 * SIDE))
        pixels = torch.stack([_small(image) for image in source.images(range(len(source)))])
    return TensorSource("drawings", pixels, source.labels, source.classes)


def _small(image: Tensor) -> Tensor:
    """Pad a drawing to a white square, shrink it, and return its negative."""
    ink = 255.0 - image.float()
    height, width = ink.shape[-2:]
    side = max(height, width)
    square = ink.new_zeros(1, 1, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    square[0, :, top : top + height, left : left + width] = ink
    return interpolate(square, (SIDE, SIDE), mode="bilinear", antialias=True)[0].round().clamp(0, 255).to(torch.uint8)
