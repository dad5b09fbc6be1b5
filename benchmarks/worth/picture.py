"""The gains of arbitration as a picture: python -m benchmarks.worth.picture  (writes docs/worth.png)"""

from collections.abc import Sequence
from itertools import zip_longest
from math import ceil
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.command_line import make_parser, start
from benchmarks.lines import read_lines
from benchmarks.worth import filing
from benchmarks.worth.arms import ARMS
from benchmarks.worth.gains import cells, gain
from benchmarks.worth.table import LINES, LINES_OF_GROUPS
from uota.comparison.statistics import Gain
from uota.methods import METHODS
from uota.training.resolve import METHOD, METHOD_OF_GROUPS

OUT = Path(__file__).parents[2] / "docs/worth.png"
COLUMNS = 3
COLOURS = {"none": "0.6", "paper": "tab:orange", "learned": "tab:blue", "sampled": "tab:green", "oracle": "0.2"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw and write the picture."""
    parser = make_parser("worth.picture", __doc__, measures=False)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    found = cells([*read_lines(LINES), *filing.as_conditions(read_lines(LINES_OF_GROUPS))])
    shown = {cell: gain(found, cell, "linear") for cell in found if cell[1] == default_method(cell[0])}
    conditions = list(dict.fromkeys(cell[0] for cell, made in shown.items() if made is not None and made.pairs > 1))
    drawn = {arm for _, _, arm in shown} - {"none", "oracle"}
    arms = ["oracle", *(arm for arm in ARMS if arm in drawn)]
    rows = ceil(len(conditions) / COLUMNS)
    size = (3.6 * COLUMNS, 0.8 + 3.4 * rows)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, condition in zip_longest(axes.flat, conditions):
        axis.set_visible(condition is not None)
        if condition is not None:
            method = default_method(condition)
            draw(axis, [(arm, shown.get((condition, method, arm))) for arm in arms])
            axis.set_title(f"{condition}, {METHODS[method].title}", fontsize="medium")
    axes[0][0].set_yticks(range(len(arms)), arms)
    axes[0][0].invert_yaxis()
    figure.supxlabel(
        "gain over the method without weights, linear top-1, points; bars: 95 % interval, two seeds or more"
    )
    figure.tight_layout()
    figure.savefig(asked.out, dpi=110)
    plt.close(figure)


def default_method(condition: str) -> str:
    """Return the method that `uota pretrain` chooses for such data."""
    return METHOD_OF_GROUPS if condition.startswith("groups-") else METHOD


def draw(axis: Axes, gains: list[tuple[str, Gain | None]]) -> None:
    """Draw the gains of one condition, one row per arm; arms that were not run stay empty."""
    axis.axvline(0, color="0.8", zorder=0)
    for place, (arm, made) in enumerate(gains):
        if made is not None:
            colour = COLOURS.get(arm.split("-")[0], "0.5")
            axis.errorbar(made.mean, place, xerr=made.half if made.pairs > 1 else None, fmt="o", color=colour)


if __name__ == "__main__":
    start(main)
