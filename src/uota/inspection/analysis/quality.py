"""Flaws of pictures: duplicates, and pictures that are empty, dark, washed out, blurred, tiny or oddly shaped.

The thresholds are set for few false alarms on drawings on white as well as on photographs. Looked at were all that is
listed, or 40 of it at random, and this much was right by eye, of Tux Paint's stamps, Open Clip Art (8,105 pictures) and
the photographs and wallpapers of GNOME and KDE: exact duplicates 1 of 1, 40 of 40 and 13 of 13 groups; near duplicates
2 of 2 (spinning tops that differ in a letter), 38 of 40 (32 of them star polygons with nearly as many points) and 24 of
24 groups; empty 1 of 1, 40 of 40 and 2 of 2; dark 2 of 2, none and 2 of 2; washed out 3 of 3, 17 of 19 and none;
blurred 2 of 2, 1 of 1 and none; tiny 33 of 33, 37 of 37 and none; oddly shaped 5 of 5, 29 of 29 and none. What is not
listed was not looked through: a list is for people to look through, so a doubtful picture is better left off it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from uota.console import track_progress
from uota.data import Source
from uota.inspection.analysis.duplicates import exact_groups, hash_distances, near_groups
from uota.inspection.analysis.picture_measures import THUMBNAIL_SIDE, Measures, measure
from uota.io.atomic import write_text_atomically
from uota.io.csv_files import csv_text

# Largest range of values in a channel of a picture of one colour; JPEG varies a flat area by some levels.
EMPTY = 12
# The brightest pixels of a dark picture, and the darkest of a washed-out one, as values of 0 to 255.
DARK, WASHED_OUT = 80, 160
# Share of the contrast of a washed-out picture that is left without thin lines; a drawing of thin lines is not listed.
SOLID = 0.5
# Sharpness of a picture whose sharpest edges are 4 pixels wide (3 standard deviations) where it has 512 pixels.
BLURRED = 0.3
# Longer side in pixels of a tiny picture, which is also at most half as long as that of most pictures.
TINY = 32
# Longer side over shorter side.
ODD_SHAPE = 4.0


class Problem(NamedTuple):
    """A kind of flaw.

    Attributes:
        name: heading, and value in tables after `key`.
        meaning: one sentence for readers.
        measure: meaning of the value.
    """

    name: str
    meaning: str
    measure: str


PROBLEMS = {
    "exact_duplicate": Problem("Exact duplicates", "Pictures with the same pixels.", "pictures in the group"),
    "near_duplicate": Problem(
        "Near duplicates",
        "Pictures that look the same: resized, compressed again or slightly changed.",
        "bits of 256 that differ from the first of the group",
    ),
    "empty": Problem(
        "Empty",
        "Pictures of a single colour. Transparent pictures are read on white, so that white drawings disappear.",
        "range of values, 0 to 255",
    ),
    "dark": Problem("Dark", "Even the brightest pixels are dark.", "brightest value, 0 to 255"),
    "washed_out": Problem(
        "Washed out",
        "Even the darkest pixels are pale; drawings of thin lines alone are not listed.",
        "darkest value, 0 to 255",
    ),
    "blurred": Problem(
        "Blurred",
        f"Even the sharpest edges are soft; sharp edges have 0.5 and more, and below {BLURRED} is listed.",
        "sharpness",
    ),
    "tiny": Problem(
        "Tiny",
        f"Pictures of at most {TINY} pixels, and at most half the size of most others.",
        "longer side in pixels",
    ),
    "odd_shape": Problem("Oddly shaped", f"One side is over {ODD_SHAPE:.0f} times the other.", "ratio of the sides"),
}


@dataclass(frozen=True)
class Flaw:
    """A flaw of one picture.

    Attributes:
        index: picture, as an index in the source.
        problem: key in `PROBLEMS`.
        value: what was measured; see `Problem.measure`.
        group: number of the group of duplicates among those of the same problem; None for other problems.
        duplicate_of: first picture of that group; None for that picture and for other problems.
    """

    index: int
    problem: str
    value: float
    group: int | None = None
    duplicate_of: int | None = None


@dataclass(frozen=True)
class Quality:
    """The flaws of a source's pictures.

    Attributes:
        source: the pictures, in their original sizes.
        checked: number of pictures that could be read.
        flaws: duplicates group by group, then the other problems in the order of `PROBLEMS`, worst first.
        unreadable: paths of the files that could not be read.
    """

    source: Source
    checked: int
    flaws: list[Flaw]
    unreadable: list[Path]

    @property
    def is_mostly_copies(self) -> bool:
        """Whether most pictures are exact duplicates, whose views no arbiter can tell apart."""
        return 2 * len(self.of("exact_duplicate")) > self.checked

    def of(self, problem: str) -> list[Flaw]:
        """Return the flaws of one kind."""
        return [flaw for flaw in self.flaws if flaw.problem == problem]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the table: a header, a row for each flaw, and one for each unreadable file."""
        name = self.name_of
        found: list[tuple[Any, ...]] = [
            (
                name(flaw.index),
                flaw.problem,
                f"{flaw.value:.4g}",
                flaw.group,
                None if flaw.duplicate_of is None else name(flaw.duplicate_of),
            )
            for flaw in self.flaws
        ]
        unreadable = [(path, "unreadable", None, None, None) for path in self.unreadable]
        return [("file", "problem", "value", "group", "duplicate_of"), *found, *unreadable]

    def save(self, out: Path) -> None:
        """Write the table as CSV; text that a spreadsheet would run as a formula is escaped with an apostrophe.

        Raises:
            UotaError: the file cannot be written.
        """
        write_text_atomically(out, csv_text(self.rows()))

    def name_of(self, index: int) -> Path | str:
        """Return the path of a picture, or its name if it is not a file."""
        return self.source.path(index) or self.source.display_name(index)


def find_flaws(source: Source, chosen: Sequence[int] | None = None, bar: bool = True) -> Quality:
    """Look through the pictures of a source once, in their original sizes, and list their flaws.

    Args:
        source: the pictures; those that cannot be read are listed as such.
        chosen: indices of the pictures to look at; None: all.
        bar: show a progress bar.
    """
    source = source.files.at_full_size()
    indices, measures = _measure_all(source, range(len(source)) if chosen is None else chosen, bar)
    flaws = [*_duplicates(indices, measures), *_single_flaws(indices, measures)]
    order = {problem: place for place, problem in enumerate(PROBLEMS)}
    flaws.sort(key=lambda flaw: order[flaw.problem])
    return Quality(source, len(indices), flaws, source.skipped)


def _measure_all(source: Source, chosen: Sequence[int], bar: bool) -> tuple[list[int], list[Measures]]:
    """Measure the pictures that can be read, and return their indices too."""
    # One at a time, since a picture in its original size may take hundreds of megabytes.
    places = track_progress(chosen, "checking pictures", bar)
    measures = [measure(source.images([index])[0]) for index in places]
    # In place of an unreadable picture, sources return another, which is not its duplicate.
    lost = source.unreadable(torch.tensor(chosen)).tolist()
    kept = [place for place, gone in enumerate(lost) if not gone]
    return [chosen[place] for place in kept], [measures[place] for place in kept]


def _duplicates(indices: Sequence[int], measures: Sequence[Measures]) -> list[Flaw]:
    """Return exact duplicates, then near duplicates among the first pictures of the exact groups and all others."""
    exact = exact_groups([one.digest for one in measures])
    copies = {place for group in exact for place in group[1:]}
    distinct = [
        place for place, one in enumerate(measures) if place not in copies and one.colour_range > EMPTY
    ]  # all empty pictures look the same
    flaws = []
    for number, group in enumerate(exact):
        for place in group:
            first = indices[group[0]] if place != group[0] else None
            flaws.append(Flaw(indices[place], "exact_duplicate", float(len(group)), number, first))
    bits = np.array([measures[place].bits for place in distinct], dtype=np.uint8).reshape(-1, 32)
    thumbnails = np.array([measures[place].thumbnail for place in distinct], dtype=np.uint8)
    near = near_groups(bits, thumbnails.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3))
    for number, group in enumerate(near):
        distances = hash_distances(bits[group], bits[group[:1]]).tolist()
        for place, distance in zip(group, distances, strict=True):
            first = indices[distinct[group[0]]] if place != group[0] else None
            flaws.append(Flaw(indices[distinct[place]], "near_duplicate", float(distance), number, first))
    return flaws


def _single_flaws(indices: Sequence[int], measures: Sequence[Measures]) -> list[Flaw]:
    """Return the flaws that a picture has by itself, the worst of each kind first."""
    if not indices:
        return []
    longer = np.array([max(one.height, one.width) for one in measures])
    ratio = longer / [min(one.height, one.width) for one in measures]
    colours, darkest, solid, brightest, sharpness = np.array(
        [(one.colour_range, one.darkest, one.solid, one.brightest, one.sharpness) for one in measures]
    ).T
    shown = colours > EMPTY
    # Value of each problem, which pictures have it, and the order from the worst.
    found = {
        "empty": (colours, ~shown, colours),
        "dark": (brightest, shown & (brightest < DARK), brightest),
        "washed_out": (darkest, shown & (darkest > WASHED_OUT) & (solid >= SOLID), -darkest),
        "blurred": (sharpness, shown & (sharpness < BLURRED), sharpness),
        "tiny": (longer, (longer <= TINY) & (longer <= np.median(longer) / 2), longer),
        "odd_shape": (ratio, ratio > ODD_SHAPE, -ratio),
    }
    return [
        Flaw(indices[place], problem, float(values[place]))
        for problem, (values, has, order) in found.items()
        for place in np.flatnonzero(has)[np.argsort(order[has], kind="stable")].tolist()
    ]
