"""Where members come from, as far as pages and exports need to know: their source, folder and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from uota.data import FolderOptions, MinimalSource, SequenceSource, Source, as_source
from uota.data.files.paths import are_paths, open_paths
from uota.errors import UotaError

# Pictures that are given are shrunk on reading, so that no side is longer.
MAX_SIDE = 320


@dataclass(frozen=True)
class Origin:
    """Where members come from.

    Attributes:
        name: what people know the source by; empty for what was given in memory.
        folder: the folder that the members are files in, and to which their names are relative; None: they are no files
            in a folder.
        pictures: source of their pictures; None: they have none.
        place: index in `pictures` of each member; None: they are in the same order.
    """

    name: str = ""
    folder: Path | None = None
    pictures: Source | None = None
    place: Sequence[int] | None = None

    def images(self, members: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"] | None]:
        """Read the pictures of members; None for one that cannot be read, or if members have no pictures."""
        if self.pictures is None:
            return [None] * len(members)
        places = [int(member if self.place is None else self.place[member]) for member in members]
        images = self.pictures.images(places)
        unreadable = self.pictures.unreadable(torch.tensor(places, dtype=torch.int64)).tolist()
        return [None if bad else image for image, bad in zip(images, unreadable, strict=True)]


def with_images(origin: Origin, images: Any, members: int) -> Origin:
    """Return an origin with other pictures.

    Args:
        origin: without these pictures.
        images: a picture of each member: a source, a list of paths, or what `SequenceSource` takes.
        members: number of members.

    Raises:
        UotaError: there are more or fewer pictures than members, or no file at a path.
    """
    source = _opened(images)
    if len(source) != members:
        raise UotaError(f"there are {len(source)} pictures and {members} members; give one for each, in the same order")
    return replace(origin, pictures=source, place=None)


def _opened(images: Any) -> Source:
    if isinstance(images, MinimalSource):
        return as_source(images)
    if are_paths(images):
        return open_paths(images, FolderOptions(max_side=MAX_SIDE, cache_megabytes=0))
    return SequenceSource(images, MAX_SIDE)
