"""What the demo prints."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from uota.demo.figures import Figures
from uota.demo.lists import Lists


def print_lists(console: Console, lists: Lists, out: Path) -> None:
    """Print how well misfiled drawings are found, and where the list is."""
    members, count = lists.found.members, int(lists.wrong.sum())
    low, high = members.interval
    found = f"{100 * members.share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    console.print(
        f"{len(lists.wrong)} drawings of {len(lists.found.names)} things, {count} of them misfiled on purpose"
    )
    shown = Table("list of misfiled drawings, without any training", "average precision")
    for name, precision in lists.precision.items():
        shown.add_row(name, f"{precision:.2f}")
    console.print(shown)
    console.print(f"estimated share {found}; true share {100 * float(lists.wrong.float().mean()):.1f} %")
    console.print(
        f"page      {out / 'misfiled.html'}\nlist      {out / 'misfiled.csv'}\npicture   {out / 'misfiled.png'}"
    )


def print_figures(console: Console, figures: dict[str, Figures]) -> None:
    """Print what encoders can do before and after their training."""
    shown = Table("encoder", "average precision of the list", "retrieval, %", "kNN, %")
    for name, of in figures.items():
        shown.add_row(name, f"{of.precision:.2f}", f"{of.retrieval:.1f}", f"{of.knn:.1f}")
    console.print(shown)
    console.print(
        "retrieval: the nearest drawing by another studio shows the same thing; kNN: accuracy of the category; both of "
        "things that no run was trained on"
    )
