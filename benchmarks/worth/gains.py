"""Gains of one arm over another, paired by seed."""

from collections import defaultdict
from statistics import mean
from typing import Any

from uota.comparison.statistics import Gain

BEGINNING = ("condition", "method", "arm", "seeds", "linear / kNN", "gain, linear", "gain, kNN")
WORTH_SHARING = 1.0  # points; a share of less is meaningless
# Weights against their histogram and a second loss; one kind of eyes against another; weights against choosing views.
CONTRASTS = (
    ("learned-features", "shuffled"),
    ("learned-features", "auxiliary"),
    ("learned-thumbnails", "learned-features"),
    ("learned-thumbnails", "sampled"),
    ("learned-thumbnails", "oracle"),
    ("learned-thumbnails", "paper"),
)

Row = dict[str, Any]
Cell = tuple[str, str, str]  # condition, method, arm


def cells(rows: list[Row]) -> dict[Cell, dict[int, Row]]:
    """Sort rows by cell and seed."""
    found: dict[Cell, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        found[row["condition"], row["method"], row["arm"]][row["seed"]] = row
    return found


def gains(found: dict[Cell, dict[int, Row]], cell: Cell, figure: str, over: str = "none") -> dict[int, float]:
    """Return the gains over another arm of the same condition and method, for the seeds that both have."""
    plain, seeds = found.get((*cell[:2], over), {}), found.get(cell, {})
    return {seed: seeds[seed][figure] - plain[seed][figure] for seed in seeds if seed in plain}


def gain(found: dict[Cell, dict[int, Row]], cell: Cell, figure: str, over: str = "none") -> Gain | None:
    """Return the mean of the gains, or None if there are none."""
    differences = list(gains(found, cell, figure, over).values())
    return Gain.of(differences) if differences else None


def beginning(found: dict[Cell, dict[int, Row]], cell: Cell) -> list[str]:
    """Return the columns `BEGINNING` of a cell's line; the arm without weights has no gain."""
    rows = list(found[cell].values())
    reached = " / ".join(mean_of(rows, figure, ".1f") for figure in ("linear", "knn"))
    won = ["" if cell[2] == "none" else str(gain(found, cell, figure) or "") for figure in ("linear", "knn")]
    return [*cell, str(len(rows)), reached, *won]


def share_of_oracle(found: dict[Cell, dict[int, Row]], cell: Cell) -> float | None:
    """Return the mean gain in linear top-1 as a share of the oracle's, on the seeds that both have."""
    own, best = gains(found, cell, "linear"), gains(found, (*cell[:2], "oracle"), "linear")
    both = own.keys() & best.keys()
    ceiling = mean(best[seed] for seed in both) if both else 0.0
    return mean(own[seed] for seed in both) / ceiling if ceiling >= WORTH_SHARING else None


def contrasts(rows: list[Row]) -> list[list[str]]:
    """Return the lines of gains of one arm over another that have at least three seeds."""
    found, lines = cells(rows), []
    for condition, method in dict.fromkeys(cell[:2] for cell in found):
        for arm, over in CONTRASTS:
            made = [gain(found, (condition, method, arm), figure, over) for figure in ("linear", "knn")]
            if made[0] is not None and made[0].pairs > 2:
                lines.append([condition, method, arm, over, str(made[0].pairs), *map(str, made)])
    return lines


def mean_of(rows: list[Row], name: str, form: str) -> str:
    """Format the mean over the rows that have the figure; empty if none has."""
    values = [row[name] for row in rows if name in row]
    return format(mean(values), form) if values else ""


def together(lines: list[list[str]]) -> list[list[str]]:
    """Group lines by condition and method, in the order of the first line of each."""
    order = list(dict.fromkeys((line[0], line[1]) for line in lines))
    return sorted(lines, key=lambda line: order.index((line[0], line[1])))
