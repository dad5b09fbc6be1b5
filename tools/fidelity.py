"""Writes docs/fidelity.md, what was published beside what our recipes do: python -m tools.fidelity.

`docs/published/NAME.yaml` is a list of rows for the recipe NAME, for a preset of views (NAME is views-PRESET), or for
what is neither, such as an evaluation. A row has `setting`, `published`, `where` (repository and file, or the paper),
and `note` where ours is another. Our value is read, so that the page cannot drift; only a row whose setting has none of
these names says it as `ours`:

    learning_rate, …           a field of the recipe; what it leaves to the method is read from its Card
    method_options.NAME        of the recipe, else the default of the method
    views.NAME                 of the preset, or of its global views; views.local.NAME of its local views
    module:NAME.NAME…          an attribute, or an item, of a module
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from importlib import import_module
from inspect import signature
from math import isclose
from pathlib import Path
from typing import Any

import yaml

from uota.config import Pretrain
from uota.methods import METHODS
from uota.recipes import FOLDER, recipe
from uota.training.build import preset_of
from uota.views import GROUP_NAMES, ViewPreset, find_preset

ROOT = Path(__file__).parents[1]
PUBLISHED, OUT = ROOT / "docs/published", ROOT / "docs/fidelity.md"
OF_VIEWS = "views-"
COLUMNS = ("setting", "published", "ours", "read in", "note")
INTRO = """# Fidelity: what was published, and what the recipes do

Written by `python -m tools.fidelity` from the recipes, the presets of views, the methods and [what was
published](published); `tests/fidelity/test_table.py` fails where this page is not what it writes. Values in bold are
not the published ones, and the note says where and why. That a step is the published one is what the trajectories in
`tests/fidelity` show. No recipe has been run to its end here: accuracies to expect are the papers'.
"""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        setting: as in docs/published.
        published, ours: values.
        where: the publication in which the value was read.
        note: where ours is another and why; "" for none.
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
        settings: of the recipe; None: it is no recipe's.
        preset: of views; None: it is neither of a recipe nor of views.
    """

    settings: Pretrain | None = None
    preset: ViewPreset | None = None

    def reads(self, setting: str) -> bool:
        """Whether our value of a setting is read rather than said."""
        first, _, rest = setting.partition(".")
        if " " in setting or not setting:
            return False
        if ":" in setting:
            return True
        if rest:
            return (first == "views" and self.preset is not None) or (first == "method_options" and bool(self.settings))
        return self.settings is not None and first in {field.name for field in fields(Pretrain)}

    def ours(self, setting: str) -> Any:
        """Our value of a setting that is read.

        Raises:
            AttributeError, KeyError, ValueError: there is nothing of that name.
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
    """The recipes that claim to be a paper's."""
    return sorted(file.stem for file in FOLDER.glob("*_imagenet.yaml"))


def names() -> list[str]:
    """The files of docs/published in the order of the page: recipes, views, the rest."""
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
        ValueError: a row lacks a key, has a strange one, or says `ours` where it is read and nowhere else.
    """
    about = subject(name)
    rows = yaml.safe_load((PUBLISHED / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        return [row_of(about, **row) for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"docs/published/{name}.yaml: {error}") from error


def row_of(about: Subject, setting: str, published: Any, where: str, note: str = "", **said: Any) -> Row:
    """A row with our value, read or said.

    Raises:
        ValueError: it says `ours` where it is read, or says nothing where it is not.
    """
    if about.reads(setting) == ("ours" in said) or said.keys() - {"ours"}:
        rule = "leave `ours` out, it is read" if about.reads(setting) else "say `ours`, nothing of that name is read"
        raise ValueError(f"{setting}: {rule}")
    return Row(setting, published, said["ours"] if said else about.ours(setting), where, note)


def _follow(root: Any, path: str) -> Any:
    return reduce(lambda at, name: at[name] if isinstance(at, dict) else getattr(at, name), path.split("."), root)


def _of_run(settings: Pretrain, field: str) -> Any:
    """A field of the recipe; what is left to the method, as its Card says."""
    value = getattr(settings, field)
    return getattr(METHODS[settings.method], field, value) if value in ("auto", None) else value


def _option(settings: Pretrain, option: str) -> Any:
    """An option of the method: the recipe's, else the Card's, else the constructor's default."""
    card = METHODS[settings.method]
    given = card.options | settings.method_options
    return given[option] if option in given else signature(card.build).parameters[option].default


def _of_views(preset: ViewPreset, path: str) -> Any:
    """A field of a preset, or of a group of its views."""
    group, _, field = path.rpartition(".")
    if not group and hasattr(preset, field):
        return getattr(preset, field)
    return getattr(preset.groups[GROUP_NAMES.index(group or GROUP_NAMES[0])], field)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same setting: numbers up to rounding, lists as tuples."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=1e-4)
    return bool(one == other)


def shown(value: Any) -> str:
    """A value as YAML has it, numbers rounded for the eye."""
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
    of_views = f"{OF_VIEWS}{settings.views}" if settings else ""
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
