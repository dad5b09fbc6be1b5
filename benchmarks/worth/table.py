"""The tables of what arbitration is worth: python -m benchmarks.worth.table  (or make worth-table)

Gains are over the same method without weights, paired by seed: mean, 95 % interval (Student's t) and paired p. The
share is that of the oracle's mean gain, if the oracle gains a point or more.
"""

from collections.abc import Iterator, Sequence
from statistics import mean
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.command_line import RESULTS, make_parser, start
from benchmarks.groups import OUT as LINES_OF_GROUPS
from benchmarks.lines import read_lines
from benchmarks.worth import filing
from benchmarks.worth.gains import (
    BEGINNING,
    Row,
    beginning,
    cells,
    contrasts,
    gain,
    mean_of,
    share_of_oracle,
    together,
)
from uota.comparison.statistics import Gain

LINES = RESULTS / "worth.jsonl"


def lines(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the lines of the table, in the order of the rows."""
    found = cells(rows)
    for cell, seeds in found.items():
        of_cell = list(seeds.values())
        share = share_of_oracle(found, cell)
        yield [
            *beginning(found, cell),
            "" if share is None or cell[2] in ("none", "oracle") else f"{100 * share:.0f} %",
            " → ".join(mean_of(of_cell, name, ".2f") for name in ("auroc_early", "auroc_late")).strip(" →"),
            _rates(of_cell),
            mean_of(of_cell, "milliseconds_an_image", ".2f"),
        ]


HEADER = (*BEGINNING, "share", "AUROC", "rate", "ms")


def _rates(rows: list[Row]) -> str:
    """Format the estimated and the true rate, as in "0.24 of 0.25"; empty if none was estimated."""
    estimated, true = (mean_of(rows, name, ".3f") for name in ("rate", "true_rate"))
    return f"{estimated} of {true}" if estimated and true else estimated


def over_methods(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the mean gain over methods other than SwAV, of which there must be three, with its interval."""
    found = cells(rows)
    for condition, arm in dict.fromkeys((condition, arm) for condition, method, arm in found if method != "swav"):
        of_arm = [cell for cell in found if cell[1] != "swav" and (cell[0], cell[2]) == (condition, arm)]
        made = [[gain(found, cell, figure) for cell in of_arm] for figure in ("linear", "knn")]
        means = [[of_method.mean for of_method in gains if of_method is not None] for gains in made]
        if arm != "none" and len(means[0]) > 2:
            yield [condition, arm, str(len(means[0])), *(str(Gain.of(values)) for values in means)]


def way(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the mean linear top-1 after every eighth of the runs in which it was measured."""
    for cell, seeds in cells([row for row in rows if "way" in row]).items():
        reached = [[point["linear"] for point in row["way"]] + [row["linear"]] for row in seeds.values()]
        yield [*cell, str(len(seeds)), *(f"{mean(values):.1f}" for values in zip(*reached, strict=True))]


class Shown(NamedTuple):
    """A table with its title, columns and lines."""

    title: str
    columns: tuple[str, ...]
    lines: list[list[str]]


def tables(rows: list[Row], of_groups: list[Row]) -> list[Shown]:
    """Return the tables that have a line."""
    of_methods = ("condition", "arm", "methods", "gain, linear", "gain, kNN")
    between = ("condition", "method", "arm", "over", "seeds", "linear", "kNN")
    eighths = ("condition", "method", "arm", "seeds", *(f"{part}/8" for part in range(1, 9)))
    groups = filing.as_conditions(of_groups)
    made = [
        Shown("What arbitration is worth: top-1 in per cent", HEADER, together(list(lines(rows)))),
        Shown("Groups with misfiled files", filing.HEADER, together(list(filing.lines(groups)))),
        Shown("Mean over the methods but SwAV", of_methods, list(over_methods(rows))),
        Shown("One arm over another, paired by seed", between, contrasts([*rows, *groups])),
        Shown("Linear top-1 along the way", eighths, list(way(rows))),
    ]
    return [table for table in made if table.lines]


def every_table() -> list[Shown]:
    """Return the tables of all committed lines."""
    return tables(read_lines(LINES), read_lines(LINES_OF_GROUPS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every table."""
    make_parser("worth.table", __doc__, measures=False).parse_args(arguments)
    console = Console(width=180)
    for table in every_table():
        shown = Table(*table.columns, title=table.title)
        for line in table.lines:
            shown.add_row(*line)
        console.print(shown)


if __name__ == "__main__":
    start(main)
