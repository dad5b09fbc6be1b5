"""The picture of the list: the first files, each beside the rest of its group and the group that it fits best."""

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from uota.demo.archive import thing_of
from uota.demo.lists import Lists
from uota.errors import UotaError
from uota.io.atomic import atomic_write

ENTRIES, COLUMNS = 20, 2
# Drawings that are shown of a group, and where they stand in an entry; widths are in drawings.
MEMBERS, OWN, BEST, WIDTH, HEIGHT = 3, 1.4, 4.7, 8.1, 1.5
INCHES = 0.72
RIGHT, WRONG = "#2a7f3b", "#c62828"
# Longest name that fits above a group.
LETTERS = 30


def draw_list(lists: Lists, out: Path) -> None:
    """Draw the first files of the list, and mark which of them are misfiled.

    Raises:
        UotaError: the picture cannot be written.
    """
    files = lists.found.members.worst_first()[:ENTRIES]
    rows = -(-len(files) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + 0.9
    figure = Figure(figsize=(width * INCHES, height * INCHES))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.2, width - 0.2), ylim=(height - 0.9, -0.9))
    axes.axis("off")
    right = int(lists.wrong[files].sum())
    title = f"Most likely misfiled of {len(lists.wrong):,} drawings: {right} of these {len(files)} are (green frame)"
    axes.text(0, -0.6, title, fontsize=11, va="center")
    axes.text(0, -0.25, "green name: where the drawing belongs; red: it belongs elsewhere", fontsize=8, va="center")
    for number, file in enumerate(files):
        column, row = divmod(number, rows)
        _draw_entry(axes, lists, file, column * WIDTH, row * HEIGHT)
    try:
        with atomic_write(out) as unfinished:
            figure.savefig(unfinished, dpi=110, format="png")
    except OSError as error:
        raise UotaError(f"the picture cannot be written to {out}: {error}; choose another --out") from error


def _draw_entry(axes: Axes, lists: Lists, file: int, left: float, top: float) -> None:
    """Draw a file, the other members of its group, and those of the group that it fits best."""
    members = lists.found.members
    own, best = int(members.group[file]), int(members.fits[file])
    others = [member for member in _members(lists, own) if member != file]
    probability = float(members.probability[file])
    is_wrong = bool(lists.wrong[file])
    _draw(axes, lists, file, left, top, RIGHT if is_wrong else WRONG)
    _write(axes, f"{100 * probability:.0f} %", left, top, "black")
    _write(axes, f"filed under {_name(lists, own)}", left + OWN, top, "black")
    for place, member in enumerate(others[:MEMBERS]):
        _draw(axes, lists, member, left + OWN + place, top)
    fits = thing_of(Path(lists.found.ids[file])) == _name(lists, best)
    _write(axes, f"fits best: {_name(lists, best)}", left + BEST, top, RIGHT if fits else WRONG)
    for place, member in enumerate(_members(lists, best)[:MEMBERS]):
        _draw(axes, lists, member, left + BEST + place, top)


def _draw(axes: Axes, lists: Lists, file: int, left: float, top: float, frame: str | None = None) -> None:
    (image,) = lists.found.origin.images([file])
    assert image is not None
    axes.imshow(image.permute(1, 2, 0).numpy(), extent=(left, left + 0.92, top + 1.2, top + 0.28), aspect="equal")
    if frame:
        box = Rectangle((left - 0.02, top + 0.26), 0.96, 0.96, fill=False, edgecolor=frame, linewidth=2.5)
        axes.add_patch(box)


def _write(axes: Axes, text: str, left: float, top: float, colour: str) -> None:
    shown = text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
    axes.text(left, top + 0.14, shown, fontsize=7.5, va="center", color=colour)


def _members(lists: Lists, group: int) -> list[int]:
    members: list[int] = torch.nonzero(lists.found.members.group == group)[:, 0].tolist()
    return members


def _name(lists: Lists, group: int) -> str:
    """Return the name of a group without its category."""
    return lists.found.names[group].rpartition("/")[2]
