"""The table of folders with misfiled files, from the lines of benchmarks.groups."""

from collections.abc import Iterator

from benchmarks.groups import UNTRAINED
from benchmarks.worth.gains import BEGINNING, Row, beginning, cells, mean_of

# Average precision of the list of misfiled files; of each baseline the better of its two variants.
LISTS = {
    "AP": ("ap_outliers",),
    "cleanlab": ("ap_cleanlab_neighbours", "ap_cleanlab_centres"),
    "centre": ("ap_centre_cosine", "ap_centre_euclidean"),
}
HEADER = ("misfiled", *BEGINNING[1:], *LISTS, "estimated")


def as_conditions(rows: list[Row]) -> list[Row]:
    """Convert rows of groups to rows of worth, most misfiled first; arms without training have no method."""
    named = [row | {"condition": f"groups-{round(100 * row['rate'])}"} for row in rows]
    untrained = [row | {"method": "no training"} if row["arm"] in UNTRAINED else row for row in named]
    return sorted(untrained, key=lambda row: -row["rate"])


def lines(rows: list[Row]) -> Iterator[list[str]]:
    """Yield the lines of the table."""
    found = cells(rows)
    for cell, seeds in found.items():
        of_cell = list(seeds.values())
        listed = [max(mean_of(of_cell, name, ".2f") for name in names) for names in LISTS.values()]
        yield [*beginning(found, cell), *listed, mean_of(of_cell, "listed_rate", ".3f")]
