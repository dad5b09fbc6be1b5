"""Prints the oldest release of every dependency that pyproject.toml allows, as constraints for pip (`make lowest`)."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]:
    if bound := re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+).*", requirement):
        print(f"{bound[1]}=={bound[2]}")
