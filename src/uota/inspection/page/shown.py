"""The images that the page shows with pictures: the most unusual ones, until their pictures fill the room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from uota.inspection.result import Findings
from uota.pages.pictures import IMAGE_SIDE, QUALITIES, SMALL_SIDE, VIEW_SIDE, data_uri, fitted

BATCH = 24  # images whose pictures are made at a time
# Columns of the table that describe augmentations other than the crop.
MADE = (
    *("flip", "brightness", "contrast", "saturation", "hue", "jitter_order"),
    *("grey", "blur_sigma", "solarise", "rand_augment"),
)


@dataclass(frozen=True)
class ItemPictures:
    """The pictures of one item, before they are compressed.

    Attributes:
        place: place of the item in the table.
        face: index of the image that represents it.
        originals: the image that each of its views shows, by its index; the face too.
        views: its views.
    """

    place: int
    face: int
    originals: dict[int, UInt8[Tensor, "channels _ _"]]
    views: list[UInt8[Tensor, "channels _ _"]]

    def encoded(self, quality: int, known: dict[int, str]) -> tuple[dict[int, str], list[str]]:
        """Return data URIs of the originals that are not known yet, and of the views."""
        new = {index: data_uri(image, quality) for index, image in self.originals.items() if index not in known}
        return new, [data_uri(view, quality) for view in self.views]


@dataclass
class Pictured:
    """Compressed pictures of items, of a total length in characters."""

    places: list[int] = field(default_factory=list)
    faces: list[int] = field(default_factory=list)
    originals: dict[int, str] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, item: ItemPictures, quality: int, room: int | float) -> bool:
        """Add the pictures of an item, unless they exceed the room; returns whether they were added."""
        new, views = item.encoded(quality, self.originals)
        length = self.length + sum(map(len, views)) + sum(map(len, new.values()))
        if length > room:
            return False
        self.places.append(item.place)
        self.faces.append(item.face)
        self.originals |= new
        self.views += views
        self.length = length
        return True


def pictured(found: Findings, room: int) -> dict[str, Any]:
    """Return pictures of the most unusual images and their views, with the views' augmentations.

    Quality falls until those with flagged views fit into `room` characters, as estimated from the first ones.
    """
    made = _fill(found, room)
    views, columns = found.table.shape[0], found.table.columns()
    rows = (np.array(made.places, dtype=np.int64)[:, None] * views + np.arange(views)).flatten()
    return {
        "places": made.places,
        "faces": made.faces,
        "pictures": made.views,
        "originals": {str(index): uri for index, uri in made.originals.items()},
        "made": {name: columns[name][rows] for name in MADE},
    }


def _fill(found: Findings, room: int) -> Pictured:
    made, quality = Pictured(), None
    flagged = 0 if found.none_found else int(found.table.flagged.any(0).sum())
    for items in _items(found, found.ranking):
        quality = quality or _quality(items, flagged, room)
        if not all(made.add(item, quality, room) for item in items):
            break
    return made


def _quality(items: Sequence[ItemPictures], flagged: int, room: int) -> int:
    """Return the best quality in which as many items as are flagged are expected to fit, or else the lowest."""
    for quality in QUALITIES:
        sample = Pictured()
        for item in items:
            sample.add(item, quality, np.inf)
        if sample.length / len(items) * flagged <= room:
            return quality
    return QUALITIES[-1]


def _items(found: Findings, ranking: Sequence[int]) -> Iterator[list[ItemPictures]]:
    """Yield pictures of the items in this order, some at a time."""
    source, image = found.subject.source, found.table.parameters.image
    # Views of groups are of different images, so there are many to show.
    side = SMALL_SIDE if found.subject.groups is not None else IMAGE_SIDE
    for start in range(0, len(ranking), BATCH):
        places = list(ranking[start : start + BATCH])
        faces = found.representatives(places)
        wanted = [sorted({face, *image[:, place].tolist()}) for place, face in zip(places, faces, strict=True)]
        indices = sorted({index for each in wanted for index in each})
        originals = {index: fitted(each, side) for index, each in zip(indices, source.images(indices), strict=True)}
        views = found.view_pictures(places)
        yield [
            ItemPictures(
                place, face, {index: originals[index] for index in each}, [fitted(one, VIEW_SIDE) for one in made]
            )
            for place, face, each, made in zip(places, faces, wanted, views, strict=True)
        ]
