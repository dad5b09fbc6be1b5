"""`demo-drawings`: some 600 things, each drawn by three studios: Noto, Twemoji and Fluent.

The label of a drawing is Unicode's category of its thing. tools/make_drawings.py makes the embedded files.
"""

import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch import Tensor

from uota.data.demo.embedded import FOLDER, from_sheet
from uota.data.files.groups import Groups
from uota.data.files.splits import in_share
from uota.data.memory import TensorSource
from uota.data.source import Split

NAME = "demo-drawings"
INDEX = "drawings.json"
SIDE = 64
COLUMNS = 32  # drawings in a row of a sheet
TEST_SHARE = 0.3


class _Embedded(NamedTuple):
    """All drawings; categories are numbered in alphabetical order."""

    pixels: UInt8[Tensor, "things studios 3 side side"]
    labels: Int64[Tensor, " things"]
    things: list[str]
    code_points: list[str]
    studios: list[str]
    categories: list[str]


def open_drawings(split: Split | None) -> TensorSource:
    """Open single drawings (3, 64, 64) labelled with their categories, the three of each thing in a row.

    Args:
        split: train has 70 % of the things of each category and test the others; None: all.
    """
    drawn = _read()
    chosen = _of_split(drawn, split)
    names = [f"{drawn.things[thing]} ({studio})" for thing in chosen.tolist() for studio in drawn.studios]
    labels = drawn.labels[chosen].repeat_interleave(len(drawn.studios))
    return TensorSource(NAME, drawn.pixels[chosen].flatten(0, 1), labels, drawn.categories, names=names)


def open_drawings_as_groups(split: Split | None) -> Groups:
    """Open the things of a split as groups of their three drawings."""
    drawn = _read()
    studios = len(drawn.studios)
    chosen = _of_split(drawn, split).tolist()
    members = [range(studios * place, studios * (place + 1)) for place in range(len(chosen))]
    return Groups(open_drawings(split), members, names=[drawn.things[thing] for thing in chosen])


def _of_split(drawn: _Embedded, split: Split | None) -> Int64[Tensor, " chosen"]:
    """Return the things of a split in their order."""
    if split is None:
        return torch.arange(len(drawn.things))
    ids = [points.encode() for points in drawn.code_points]
    return torch.from_numpy(np.flatnonzero(in_share(ids, drawn.labels.numpy(), split, TEST_SHARE)))


@lru_cache(maxsize=1)
def _read() -> _Embedded:
    index = json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))
    things, studios = index["things"], index["studios"]
    of_thing = [thing["category"] for thing in things]
    categories = sorted(set(of_thing))
    return _Embedded(
        torch.stack([_drawings(studio["sheet"], len(things)) for studio in studios], dim=1),
        torch.tensor([categories.index(category) for category in of_thing]),
        [thing["name"] for thing in things],
        [thing["code_points"] for thing in things],
        [studio["name"] for studio in studios],
        categories,
    )


def _drawings(sheet: str, count: int) -> UInt8[Tensor, "count 3 side side"]:
    with Image.open(FOLDER / sheet) as opened:
        images = from_sheet(np.asarray(opened.convert("RGB")), SIDE)
    return torch.from_numpy(images[:count]).permute(0, 3, 1, 2)
