"""Writes docs/fidelity.md, a table of published settings beside those of our recipes: python -m tools.fidelity.

`docs/published/NAME.yaml` is a list of rows about the recipe NAME, about a preset of views (NAME is views-PRESET), or
about something else, such as an evaluation. A row has `setting`, `published`, `where` (repository and file, or the
paper), and a `note`, which must be there if our value differs. Our value is read from the code wherever `setting` has
one of these forms, so that the page cannot drift; all other rows state it as `ours`:

    learning_rate, …           a field of the recipe, else of the method's Card where the recipe leaves it open
    method_options.NAME        an option in the recipe, else the method's default
    views.NAME                 a field of the preset or of its global views; views.local.NAME of its local views
    module:NAME.NAME…          an attribute or a dictionary's item in a module
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from inspect import signature
from math import isclose
from pathlib import Path
from typing import Any

import yaml

from uota.methods import METHODS
from uota.recipes import recipe, recipe_names
from uota.settings.pretrain import FLAT, Pretrain
from uota.views import SIZE_NAMES, ViewPreset, find_preset
from uota.views.presets import preset_of

ROOT = Path(__file__).parents[1]
PUBLISHED, OUT = ROOT / "docs/published", ROOT / "docs/fidelity.md"
OF_VIEWS = "views-"
COLUMNS = ("setting", "published", "ours", "read in", "note")
INTRO = """# Fidelity: what was published, and what the recipes do

Written by `python -m tools.fidelity` from the recipes, the presets of views, the methods and [what was
published](published); `tests/fidelity/test_table.py` fails if this page differs from that. Values in bold are not the
published ones, and the note says how and why. `tests/fidelity` compares training steps with the published algorithms,
written out. No recipe has been run to its end here: the accuracies to expect are the papers'.
"""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        setting: as in docs/published.
        published, ours: values.
        where: the publication in which the value was read.
        note: how ours differs and why, or a remark; "" for none.
    """

    setting: str
    published: Any
    ours: Any
    where: str
    note: str

    @property
    def same(self) -> bool:
        """Whether ours is what was published."""
        return equal(self.published, self.ours)


@dataclass(frozen=True)
class Subject:
    """What the rows of a file are about.

    Attributes:
        settings: the recipe's; None: the file is not about a recipe.
        preset: of views; None: the file is about neither a recipe nor views.
    """

    settings: Pretrain | None = None
    preset: ViewPreset | None = None

    def reads(self, setting: str) -> bool:
        """Whether our value of a setting is read from the code, rather than stated in the file."""
        first, _, rest = setting.partition(".")
        if " " in setting or not setting:
            return False
        if ":" in setting:
            return True
        if rest:
            return (first == "views" and self.preset is not None) or (first == "method_options" and bool(self.settings))
        return self.settings is not None and first in FLAT

    def ours(self, setting: str) -> Any:
        """Our value of a setting, read from the code.

        Raises:
            AttributeError, KeyError, ValueError: nothing has that name.
        """
        if ":" in setting:
            module, _, path = setting.partition(":")
            return _follow(import_module(module), path)
        first, _, rest = setting.partition(".")
        if first == "views" and rest:
            assert self.preset is not None
            return _of_views(self.preset, rest)
        assert self.settings is not None
        return _option(self.settings, rest) if rest else _of_run(self.settings, first)


def recipes() -> list[str]:
    """Names of the recipes for ImageNet, which claim to be the papers'."""
    return recipe_names("_imagenet")


def names() -> list[str]:
    """Names of the files in docs/published, in the order of the page: recipes, views, the rest."""
    found = sorted(file.stem for file in PUBLISHED.glob("*.yaml"))
    return sorted(found, key=lambda name: (name not in recipes(), not name.startswith(OF_VIEWS)))


def subject(name: str) -> Subject:
    """What a file of docs/published is about."""
    if name in recipes():
        return Subject(recipe(name), preset_of(recipe(name)))
    if name.startswith(OF_VIEWS):
        return Subject(preset=find_preset(name.removeprefix(OF_VIEWS)))
    return Subject()


def read(name: str) -> list[Row]:
    """The rows of a file of docs/published.

    Raises:
        ValueError: a row lacks a key, has an unknown one, states an `ours` that is read, or lacks one that is not.
    """
    about = subject(name)
    rows = yaml.safe_load((PUBLISHED / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        return [row_of(about, **row) for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"docs/published/{name}.yaml: {error}") from error


def row_of(about: Subject, setting: str, published: Any, where: str, note: str = "", **said: Any) -> Row:
    """A row with our value, read or stated.

    Raises:
        ValueError: it states `ours` where that is read, or does not where it is not.
    """
    if about.reads(setting) == ("ours" in said) or said.keys() - {"ours"}:
        rule = "leave `ours` out, it is read" if about.reads(setting) else "say `ours`, nothing of that name is read"
        raise ValueError(f"{setting}: {rule}")
    return Row(setting, published, said["ours"] if said else about.ours(setting), where, note)


def _follow(root: Any, path: str) -> Any:
    return reduce(lambda at, name: at[name] if isinstance(at, dict) else getattr(at, name), path.split("."), root)


def _of_run(settings: Pretrain, field: str) -> Any:
    """A field of the recipe; where that leaves it to the method, the Card's."""
    value = settings.as_flat()[field]
    return getattr(METHODS[settings.method.name], field, value) if value in ("auto", None) else value


def _option(settings: Pretrain, option: str) -> Any:
    """An option of the method: the recipe's, else the Card's, else the constructor's default."""
    card = METHODS[settings.method.name]
    given = card.options | settings.method.options
    return given[option] if option in given else signature(card.build).parameters[option].default


def _of_views(preset: ViewPreset, path: str) -> Any:
    """A field of a preset, or of a group of its views."""
    group, _, field = path.rpartition(".")
    if not group and hasattr(preset, field):
        return getattr(preset, field)
    return getattr(preset.sizes[SIZE_NAMES.index(group or SIZE_NAMES[0])], field)


def equal(one: Any, other: Any) -> bool:
    """Whether two values mean the same: numbers are equal up to rounding, lists equal tuples."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=1e-4)
    return bool(one == other)


def shown(value: Any) -> str:
    """A value as in YAML, with rounded numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def section(name: str, rows: Iterable[Row]) -> str:
    """The table of a file under its title."""
    lines: list[Iterable[str]] = [COLUMNS, ["---"] * len(COLUMNS)]
    for row in rows:
        ours = shown(row.ours) if row.same else f"**{shown(row.ours)}**"
        lines.append([row.setting.rpartition(":")[2], shown(row.published), ours, row.where, row.note])
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"## {name}\n\n{_its_views(name)}{table}\n"


def _its_views(name: str) -> str:
    settings = subject(name).settings
    of_views = f"{OF_VIEWS}{settings.views.preset}" if settings else ""
    return f"Its views: [{of_views}](#{of_views}).\n\n" if of_views in names() else ""


def page() -> str:
    """The whole page."""
    tables = {name: read(name) for name in names()}
    rows = [row for table in tables.values() for row in table]
    count = f"{len(rows)} settings, of which {sum(not row.same for row in rows)} are not the published ones."
    return "\n".join([INTRO, count, "", *(section(name, table) for name, table in tables.items())])


def main() -> None:
    """Write the page."""
    OUT.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
