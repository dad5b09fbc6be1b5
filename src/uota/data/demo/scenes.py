"""`demo-scenes`: scenes of a main object and others, so that some crops show the wrong object, and which is known.

A scene is a black square with one main image of `demo`, which gives the label, and one to three smaller images of
other classes around the centre. How much of each object a crop shows is known.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import tau
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from uota.data.demo.embedded import open_demo
from uota.data.demo.fashion_mnist import CLASSES
from uota.data.memory import TensorSource
from uota.data.source import Split
from uota.errors import UotaError

# Scenes rendered at once: enough to keep the processor busy, and few enough for its cache.
CHUNK = 256
# A crop is an outlier if its share of the main object is less than this times its share of another object.
OUTLIER_RATIO = 0.5
# Key of the random numbers of a split, so that test scenes have a layout of their own.
SPLIT_KEY: dict[Split, int] = {"train": 0, "test": 1}
# Random numbers of one object: which image, radius, scale, rotation, hue, saturation, whether mirrored.
DRAWS = 7


@dataclass(frozen=True)
class SceneOptions:
    """How scenes are laid out. The published figures were measured with the defaults.

    Attributes:
        seed: of all random choices, together with the split.
        canvas: side in pixels.
        others: objects besides the main one, 1 to 3.
        tint: give each object a colour of its own; scenes then have 3 channels.
        main_scale, other_scale: range of sizes, relative to the object's own 28 pixels.
        radius: range of the distances from the canvas's centre to an object's, in half-widths of the canvas.
        rotation: largest rotation of an object to either side, radians.
        mirror: mirror each object with probability 0.5. A classifier of raw pixels does worse then, but so did the
            encoder, in one short SwAV run.
    """

    seed: int = 0
    canvas: int = 56
    others: int = 1
    tint: bool = False
    main_scale: tuple[float, float] = (0.95, 1.15)
    other_scale: tuple[float, float] = (0.6, 0.85)
    radius: tuple[float, float] = (0.42, 0.5)
    rotation: float = 0.35
    mirror: bool = False

    def __post_init__(self) -> None:
        """Check that such scenes can be drawn."""
        if not 1 <= self.others <= 3:
            raise UotaError(f"others={self.others}: a scene has 1 to 3 objects besides the main one")
        if self.canvas < 16:
            raise UotaError(f"canvas={self.canvas} is too small for objects; give at least 16 pixels")
        if not 0 <= self.seed < 2**64:
            raise UotaError(f"seed={self.seed} must be 0 or more, and less than 2^64")
        for name, (low, high) in {"main_scale": self.main_scale, "other_scale": self.other_scale}.items():
            if not 0 < low <= high:
                raise UotaError(f"{name}={(low, high)} must be two positive numbers, the smaller first")


class Shown(NamedTuple):
    """Shares of ink that crops show, in [0, 1]: of the main object, and of the other object that they show most of."""

    main: Float[Tensor, "views batch"]
    other: Float[Tensor, "views batch"]


class Scenes(TensorSource):
    """Scenes with their ground truth.

    Attributes:
        ink: brightness of each object alone on the canvas, main object first; (len, 1 + others, side, side) uint8.
        kinds: class of each object, main object first; (len, 1 + others) int64.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "len channels side side"],
        labels: Int64[Tensor, " len"],
        classes: list[str],
        ink: UInt8[Tensor, "len objects side side"],
        kinds: Int64[Tensor, "len objects"],
    ) -> None:
        """Keep the tensors."""
        colour = "" if pixels.shape[1] == 1 else "-colour"
        super().__init__(f"demo-scenes{colour}", pixels, labels, classes, f"scenes{colour}")
        self.ink, self.kinds = ink, kinds

    def shown(self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]) -> Shown:
        """How much of its scene's objects every crop shows.

        Args:
            index: indices of the scenes.
            boxes: crops, (top, left, height, width) in pixels; borders may be fractional or outside the canvas.
        """
        ink = self.ink[index]
        inside = ink_inside(ink, boxes)
        shares = inside / ink.sum((-2, -1)).clamp(min=1)
        return Shown(shares[..., 0], shares[..., 1:].amax(-1))

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"]:
        """True where a crop's share of the main object is less than half of its share of another."""
        main, other = self.shown(index, boxes)
        return main < OUTLIER_RATIO * other


def ink_inside(
    ink: UInt8[Tensor, "batch objects side side"], boxes: Float[Tensor, "views batch 4"]
) -> Float[Tensor, "views batch objects"]:
    """Sum of each object's ink within each box; a pixel counts by the part of it that is inside."""
    (top, left), (height, width) = boxes[..., :2].unbind(-1), boxes[..., 2:].unbind(-1)
    rows, columns = (_inside(*line, ink.shape[-1]).float() for line in ((top, top + height), (left, left + width)))
    return torch.einsum("bors,vbr,vbs->vbo", ink.float(), rows, columns)


def _inside(first: Tensor, last: Tensor, side: int) -> Float[Tensor, "views batch side"]:
    """Share of each pixel of a line that is between two borders, in [0, 1]."""
    pixel = torch.arange(side)
    return (last[..., None] - pixel).clamp(0, 1) - (first[..., None] - pixel).clamp(0, 1)


@lru_cache(maxsize=4)
def open_scenes(split: Split, options: SceneOptions | None = None) -> Scenes:
    """The scenes of a split, a pure function of split and options; each image of `demo` is the main object of one.

    All are the scenes of both splits, unchanged, training first.
    """
    options = options or SceneOptions()
    if split == "all":
        return _concatenate([open_scenes(part, options) for part in SPLIT_KEY])
    demo = open_demo(split)
    assert demo.labels is not None
    draws = _draws(len(demo), split, options)
    which = _objects(demo.labels, draws[..., 0])
    ink = torch.cat(
        [_render(demo.pixels[which[part]], draws[part], options) for part in torch.arange(len(demo)).split(CHUNK)]
    )
    return Scenes(_compose(ink, draws, options.tint), demo.labels, CLASSES, ink, demo.labels[which])


def _concatenate(parts: list[Scenes]) -> Scenes:
    pixels, labels, ink, kinds = (
        torch.cat(tensors)
        for tensors in zip(*((part.pixels, part.labels, part.ink, part.kinds) for part in parts), strict=True)
    )
    return Scenes(pixels, labels, CLASSES, ink, kinds)


def _draws(images: int, split: Split, options: SceneOptions) -> Float[Tensor, "len objects draws"]:
    """Uniform random numbers; the main object's image is given, so its first number is the angle of the scene."""
    key = np.array([options.seed, SPLIT_KEY[split]], dtype=np.uint64)
    shape = (images, 1 + options.others, DRAWS)
    return torch.from_numpy(np.random.Generator(np.random.Philox(key=key)).random(shape))


def _objects(labels: Int64[Tensor, " len"], draws: Float[Tensor, "len objects"]) -> Int64[Tensor, "len objects"]:
    """Index of each object's image: the scene's own for the main object, one of another class for the others."""
    by_class = labels.argsort(stable=True)
    counts = labels.bincount()
    size, start = counts[labels][:, None], (counts.cumsum(0) - counts)[labels][:, None]
    place = (draws[:, 1:] * (len(labels) - size)).long()
    place = torch.where(place < start, place, place + size)  # skips the main object's class
    return torch.cat([torch.arange(len(labels))[:, None], by_class[place]], dim=1)


def _render(
    images: UInt8[Tensor, "batch objects 1 height width"], draws: Float[Tensor, "batch objects draws"], o: SceneOptions
) -> UInt8[Tensor, "batch objects side side"]:
    """Each object alone on a canvas, bilinearly resampled; objects are spread evenly around the centre."""
    batch, objects = draws.shape[:2]
    around = torch.arange(objects) / objects
    angle = tau * (draws[:, :1, 0] + around)
    radius = _between(o.radius, draws[:, :1, 1])
    scale = torch.cat([_between(o.main_scale, draws[:, :1, 2]), _between(o.other_scale, draws[:, 1:, 2])], dim=1)
    rotation = o.rotation * (2 * draws[..., 3] - 1)
    zoom = o.canvas / (images.shape[-1] * scale)
    cosine, sine = zoom * rotation.cos(), zoom * rotation.sin()
    side = 1 - 2 * ((draws[..., 6] < 0.5) & o.mirror).double()  # -1: the object is mirrored
    x, y = radius * angle.cos(), radius * angle.sin()
    # Maps a position on the canvas to the position in the object that is seen there, both in [-1, 1].
    to_object = torch.stack(
        [side * cosine, side * sine, -side * (cosine * x + sine * y), -sine, cosine, sine * x - cosine * y], dim=-1
    ).reshape(batch * objects, 2, 3)
    grid = affine_grid(to_object.float(), [batch * objects, 1, o.canvas, o.canvas], align_corners=False)
    ink = grid_sample(images.flatten(0, 1).float(), grid, align_corners=False)
    return ink.round().to(torch.uint8).reshape(batch, objects, o.canvas, o.canvas)


def _compose(
    ink: UInt8[Tensor, "len objects side side"], draws: Float[Tensor, "len objects draws"], tint: bool
) -> UInt8[Tensor, "len channels side side"]:
    """The scene: the brightest of its objects at each pixel, each in its colour."""
    if not tint:
        return ink.amax(1, keepdim=True)
    colours = _colour(draws[..., 4], draws[..., 5]).float()
    scene = torch.zeros(len(ink), 3, *ink.shape[-2:], dtype=torch.uint8)
    for place in range(ink.shape[1]):
        for part in torch.arange(len(ink)).split(CHUNK):
            tinted = (ink[part, place, None] * colours[part, place, :, None, None]).round().to(torch.uint8)
            scene[part] = torch.maximum(scene[part], tinted)
    return scene


def _colour(hue: Tensor, saturation: Tensor) -> Float[Tensor, "len objects 3"]:
    """Bright colours of any hue, half to fully saturated."""
    turns = (hue[..., None] + torch.tensor([0, 2 / 3, 1 / 3])) % 1
    pure = ((turns * 6 - 3).abs() - 1).clamp(0, 1)
    return 1 - (0.5 + 0.5 * saturation[..., None]) * (1 - pure)


def _between(interval: tuple[float, float], uniform: Tensor) -> Tensor:
    low, high = interval
    return low + (high - low) * uniform
