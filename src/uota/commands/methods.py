"""`uota methods`."""

from typing import TYPE_CHECKING

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser

if TYPE_CHECKING:
    from rich.table import Table


def parser() -> CommandParser:
    """Make the parser, which has no options."""
    return CommandParser(
        "uota methods", "", "List the methods, what the weights act on in each, and their recipes.", ("uota methods",)
    )


def run(options: Namespace) -> None:
    """Print the table of methods."""
    from rich.console import Console

    Console().print(table_of_methods())


def table_of_methods() -> "Table":
    """A row per method: what it is called, where it comes from, and what the weights act on."""
    from rich.box import SIMPLE
    from rich.table import Table

    from uota.methods import METHODS
    from uota.recipes import FOLDER
    from uota.views import find_preset

    table = Table(box=SIMPLE, show_lines=True, padding=(0, 1, 0, 0))
    widths = {"name": 12, "paper": 16, "views": 7, "weights act on": 9, "top-1": 5, "recipes": 16}
    for title, width in widths.items():
        table.add_column(title, min_width=width, no_wrap=title == "recipes", overflow="fold")
    for name, card in METHODS.items():
        sizes = " + ".join(f"{group.count}×{group.size}" for group in find_preset(card.views).sizes)
        recipes = "\n".join(sorted(file.stem.removeprefix(f"{name}_") for file in FOLDER.glob(f"{name}_*.yaml")))
        top1 = "–" if card.top1 is None else f"{card.top1:.1f}"
        paper = f"{card.title}: {card.paper}" if card.paper else card.title
        table.add_row(name, paper, sizes, card.weighs, top1, recipes)
    table.caption = (
        "views: of the paper's preset, count × pixels. top-1: published, linear, ImageNet, per cent. "
        "recipes: uota pretrain --config NAME_RECIPE"
    )
    return table


COMMAND = Command("list the methods and their recipes", parser, run)
