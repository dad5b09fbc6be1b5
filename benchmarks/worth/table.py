"""What the runs say: python -m benchmarks.worth.table  (or make worth-table).

Gains are against the same method without weights, paired by seed: mean, 95 % interval (Student's t) and paired p. The
share is that of the oracle's mean gain, where the oracle gains a point or more.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.lines import read_lines
from uota.comparison.statistics import Gain

LINES = Path(__file__).parents[1] / "results/worth.jsonl"
WORTH_SHARING = 1.0  # points: of less, a share says nothing
# Is it the weights, or would their histogram do, or a better loss? And which eyes, and weights or a choice?
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
    """Rows by cell and seed."""
    found: dict[Cell, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        found[row["condition"], row["method"], row["arm"]][row["seed"]] = row
    return found


def gains(found: dict[Cell, dict[int, Row]], cell: Cell, figure: str, over: str = "none") -> dict[int, float]:
    """Of a cell over another arm of the same condition and method, by the seeds that both have."""
    plain, seeds = found.get((*cell[:2], over), {}), found.get(cell, {})
    return {seed: seeds[seed][figure] - plain[seed][figure] for seed in seeds if seed in plain}


def gain(found: dict[Cell, dict[int, Row]], cell: Cell, figure: str, over: str = "none") -> Gain | None:
    """Mean of the gains; None where there are none."""
    differences = list(gains(found, cell, figure, over).values())
    return Gain.of(differences) if differences else None


def share_of_oracle(found: dict[Cell, dict[int, Row]], cell: Cell) -> float | None:
    """Mean gain in linear top-1 as a share of the oracle's, on the seeds that both have."""
    own, best = gains(found, cell, "linear"), gains(found, (*cell[:2], "oracle"), "linear")
    both = own.keys() & best.keys()
    ceiling = mean(best[seed] for seed in both) if both else 0.0
    return mean(own[seed] for seed in both) / ceiling if ceiling >= WORTH_SHARING else None


def lines(rows: list[Row]) -> Iterator[list[str]]:
    """The table's lines, in the order of the rows."""
    found = cells(rows)
    for cell, seeds in found.items():
        of_cell = list(seeds.values())
        gains = ["" if cell[2] == "none" else str(gain(found, cell, figure) or "") for figure in ("linear", "knn")]
        share = share_of_oracle(found, cell)
        yield [
            *cell,
            str(len(seeds)),
            f"{mean(row['linear'] for row in of_cell):.1f} / {mean(row['knn'] for row in of_cell):.1f}",
            *gains,
            "" if share is None or cell[2] in ("none", "oracle") else f"{100 * share:.0f} %",
            " → ".join(_mean_of(of_cell, name, ".2f") for name in ("auroc_early", "auroc_late")).strip(" →"),
            _rates(of_cell),
            f"{mean(row['milliseconds_an_image'] for row in of_cell):.2f}",
        ]


HEADER = ("condition", "method", "arm", "seeds", "linear / kNN", "gain, linear", "gain, kNN", "share", "AUROC")
HEADER += ("rate", "ms")


def _rates(rows: list[Row]) -> str:
    """As 0.24 of 0.25; nothing where none was estimated."""
    estimated, true = (_mean_of(rows, name, ".3f") for name in ("rate", "true_rate"))
    return f"{estimated} of {true}" if estimated and true else estimated


def _mean_of(rows: list[Row], name: str, form: str) -> str:
    values = [row[name] for row in rows if name in row]
    return format(mean(values), form) if values else ""


def over_methods(rows: list[Row]) -> Iterator[list[str]]:
    """Of methods other than SwAV: the mean of their mean gains, with the interval over them, of three at least."""
    found = cells(rows)
    for condition, arm in dict.fromkeys((condition, arm) for condition, method, arm in found if method != "swav"):
        of_arm = [cell for cell in found if cell[1] != "swav" and (cell[0], cell[2]) == (condition, arm)]
        made = [[gain(found, cell, figure) for cell in of_arm] for figure in ("linear", "knn")]
        means = [[of_method.mean for of_method in gains if of_method is not None] for gains in made]
        if arm != "none" and len(means[0]) > 2:
            yield [condition, arm, str(len(means[0])), *(str(Gain.of(values)) for values in means)]


def contrasts(rows: list[Row]) -> Iterator[list[str]]:
    """One arm's gain over another, of SwAV, where there are three seeds at least."""
    found = cells(rows)
    for condition in dict.fromkeys(condition for condition, method, _ in found if method == "swav"):
        for arm, over in CONTRASTS:
            made = [gain(found, (condition, "swav", arm), figure, over) for figure in ("linear", "knn")]
            if made[0] is not None and made[0].pairs > 2:
                yield [condition, arm, over, str(made[0].pairs), *map(str, made)]


def way(rows: list[Row]) -> Iterator[list[str]]:
    """Mean linear top-1 after every eighth, where it was measured."""
    for cell, seeds in cells([row for row in rows if "way" in row]).items():
        reached = [[point["linear"] for point in row["way"]] + [row["linear"]] for row in seeds.values()]
        yield [*cell, str(len(seeds)), *(f"{mean(values):.1f}" for values in zip(*reached, strict=True))]


def together(rows: list[Row]) -> list[list[str]]:
    """Lines of `lines`, those of a condition and method together."""
    shown = list(lines(rows))
    order = list(dict.fromkeys((line[0], line[1]) for line in shown))
    return sorted(shown, key=lambda line: order.index((line[0], line[1])))


class Shown(NamedTuple):
    """A table: what it is of, its columns and lines."""

    title: str
    columns: tuple[str, ...]
    lines: list[list[str]]


def tables(rows: list[Row]) -> list[Shown]:
    """Those that have a line."""
    of_methods = ("condition", "arm", "methods", "gain, linear", "gain, kNN")
    between = ("condition", "arm", "over", "seeds", "linear", "kNN")
    eighths = ("condition", "method", "arm", "seeds", *(f"{part}/8" for part in range(1, 9)))
    made = [
        Shown("What arbitration is worth: top-1 in per cent", HEADER, together(rows)),
        Shown("Mean over the methods but SwAV", of_methods, list(over_methods(rows))),
        Shown("One arm over another, SwAV, paired by seed", between, list(contrasts(rows))),
        Shown("Linear top-1 along the way", eighths, list(way(rows))),
    ]
    return [table for table in made if table.lines]


def main() -> None:
    console = Console(width=180)
    for table in tables(read_lines(LINES)):
        shown = Table(*table.columns, title=table.title)
        for line in table.lines:
            shown.add_row(*line)
        console.print(shown)


if __name__ == "__main__":
    main()
