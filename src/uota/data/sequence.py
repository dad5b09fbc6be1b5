"""Images that somebody has in memory: a tensor, a list, or a dataset of torch, such as torchvision's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from uota.data.decode import shrunk
from uota.errors import UotaError

KINDS = "give a folder, a uint8 tensor (n, channels, height, width), or a list or dataset of pictures"


# Of floats: interpolation overshoots the 1 that they should end at.
LARGEST = 2.0


class Sequenced:
    """A source of whatever has a length and gives pictures by index, alone or with a label; three channels.

    A picture is of Pillow, a uint8 array (height, width[, channels]), or a tensor (channels, height, width), of uint8
    or of floats in [0, 1]. Labels are the dataset's `targets`, their names its `classes`, where it has them.
    """

    name, channels = "images", 3

    def __init__(self, pictures: Any, max_side: int | None = None) -> None:
        """Keep the pictures; they are read when asked for, and shrunk so that no side is longer than `max_side`."""
        if not hasattr(pictures, "__len__") or not hasattr(pictures, "__getitem__"):
            raise UotaError(f"{type(pictures).__name__} is nothing that images can be taken from by number; {KINDS}")
        self.pictures, self.max_side = pictures, max_side
        targets = getattr(pictures, "targets", None)
        self.labels: Int64[Tensor, " len"] | None = None if targets is None else torch.as_tensor(targets).long()
        self.classes: list[str] | None = getattr(pictures, "classes", None)

    @property
    def skipped(self) -> list[Path]:
        """None: there are no files."""
        return []

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pictures)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images."""
        return [shrunk(as_image(self.pictures[int(index)]), self.max_side) for index in indices]

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """None: nothing is known of crops of these images."""
        return None


def as_image(picture: Any) -> UInt8[Tensor, "3 height width"]:
    """One picture, with or without a label, as a tensor of three channels.

    Raises:
        UotaError: it is none.
    """
    if isinstance(picture, tuple | list):
        picture = picture[0]
    if isinstance(picture, Image.Image):
        picture = np.array(picture.convert("RGB"))
    if isinstance(picture, np.ndarray):
        picture = torch.from_numpy(picture if picture.ndim == 2 else picture.transpose(2, 0, 1).copy())
    if not isinstance(picture, Tensor) or picture.ndim not in (2, 3):
        raise UotaError(f"an item is {type(picture).__name__}, no picture; {KINDS}")
    picture = picture if picture.ndim == 3 else picture[None]
    if picture.is_floating_point():
        if not bool((picture.abs() <= LARGEST).all()):
            raise UotaError(
                "a picture has floats that are NaN or far outside of 0 to 1; give bytes or floats in [0, 1]"
            )
        picture = (picture.clamp(0, 1) * 255).round()
    if picture.shape[0] not in (1, 3):
        raise UotaError(f"a picture has {picture.shape[0]} channels; {KINDS}, of 1 or 3 channels")
    return picture.to(torch.uint8).expand(3, -1, -1)
