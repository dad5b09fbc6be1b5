"""The table of methods, for a terminal."""

from rich.table import Table

from uota.methods import METHODS
from uota.recipes import FOLDER
from uota.views import find_preset


def table_of_methods() -> Table:
    """A row per method: what it is called, where it comes from, and what the weights act on."""
    table = Table("name", "method", "paper", "views", "weights act on", "top-1", "recipes")
    for name, card in METHODS.items():
        sizes = " + ".join(f"{group.count}×{group.size}" for group in find_preset(card.views).groups)
        recipes = "\n".join(sorted(file.stem for file in FOLDER.glob(f"{name}_*.yaml")))
        top1 = "–" if card.top1 is None else f"{card.top1:.1f}"
        table.add_row(name, card.title, card.paper, sizes, card.weighs, top1, recipes)
    table.caption = "views of the paper's preset, count × pixels; published linear top-1 on ImageNet, per cent"
    return table
