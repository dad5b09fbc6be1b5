"""Settings as data: a row of a paper's table each (`…_imagenet`), or a run of minutes on the demo data (`…_demo`)."""

from pathlib import Path

import yaml

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain

FOLDER = Path(__file__).parent


def recipe_names(kind: str = "") -> list[str]:
    """Names of the recipes of a kind, such as imagenet or demo; of all by default."""
    return sorted(file.stem for file in FOLDER.glob(f"*{kind}.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe.

    Raises:
        UotaError: there is no such recipe.
    """
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UotaError(f"there is neither a file nor a recipe {name!r}; the recipes are {', '.join(recipe_names())}")
    return path


def recipe(name: str) -> Pretrain:
    """The settings of a recipe."""
    return Pretrain.from_flat(**yaml.safe_load(recipe_file(name).read_text(encoding="utf-8")))
