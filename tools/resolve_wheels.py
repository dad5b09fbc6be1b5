"""Checks that the package and its extras install without a compiler on every Python that pyproject.toml names.

    python tools/resolve_wheels.py [3.14 …]

For each version, pip resolves the dependencies, and those of all extras but `dev`, to wheels for Linux; nothing is
installed. pip evaluates environment markers for the running interpreter instead of the chosen one. So the requirements
of all chosen releases are evaluated again for the chosen version, and those that the answer leaves out or contradicts
are added, until none is left. The exit status is 1 if a version cannot be resolved.
"""

import json
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
NEWEST_GLIBC = 39  # wheels that need no newer glibc than 2.39, of 2024
SHOWN = ("torch", "torchvision", "numpy", "scipy")
ROUNDS = 10


class ResolutionError(Exception):
    """A requirement has no release with a wheel; the message is the table's."""


def supported_versions() -> list[str]:
    """The versions of Python among the classifiers."""
    return [found[1] for text in PROJECT["classifiers"] if (found := CLASSIFIER.fullmatch(text))]


def all_requirements() -> list[str]:
    """The dependencies of the package and those of every extra but `dev`: if they resolve together, each part does."""
    extras = [extra for name, extra in PROJECT["optional-dependencies"].items() if name != "dev"]
    return sum(extras, start=list(PROJECT["dependencies"]))


def resolve(requirements: list[str], version: str) -> dict[str, dict[str, Any]]:
    """Return pip's answer for a version of Python, by canonical name.

    Raises:
        ResolutionError: a requirement has no release with a wheel.
    """
    asked = list(requirements)
    for _ in range(ROUNDS):
        chosen = ask_pip(asked, version)
        missing = [text for text in unmet(chosen, version) if text not in asked]
        if not missing:
            return chosen
        asked += missing
    raise ResolutionError(f"the requirements do not settle in {ROUNDS} rounds; the last are {', '.join(missing)}")


def ask_pip(requirements: list[str], version: str) -> dict[str, dict[str, Any]]:
    """Resolve to wheels, with environment markers of the running interpreter."""
    machine = platform.machine()
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 4, -1)]
    tags += [f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")] + [f"linux_{machine}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary", ":all:", "--python-version", version, "--implementation", "cp"]
        command += [argument for tag in tags for argument in ("--platform", tag)]
        command += ["--target", folder, "--report", str(report), *requirements]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            lines = [line.removeprefix("ERROR: ") for line in run.stderr.splitlines() if line.startswith("ERROR: ")]
            raise ResolutionError(lines[-1] if lines else run.stderr.strip())
        items = json.loads(report.read_text())["install"]
    return {canonicalize_name(item["metadata"]["name"]): item for item in items}


def unmet(chosen: dict[str, dict[str, Any]], version: str) -> list[str]:
    """Requirements of the chosen releases that hold for this version of Python and that the choice does not fulfil."""
    environment = default_environment() | {"python_version": version, "python_full_version": f"{version}.0"}
    texts = []
    for item in chosen.values():
        for text in item["metadata"].get("requires_dist", []):
            requirement = Requirement(text)
            extras = ["", *item.get("requested_extras", [])]
            if requirement.marker and not any(requirement.marker.evaluate(environment | {"extra": e}) for e in extras):
                continue
            found = chosen.get(canonicalize_name(requirement.name))
            if found is None or not requirement.specifier.contains(found["metadata"]["version"], prereleases=True):
                requirement.marker = None
                texts.append(str(requirement))
    return texts


def main(versions: list[str]) -> int:
    """Print a row for each version; return the number of versions that cannot be resolved."""
    failures = 0
    print(f"{'Python':8}{'wheels':8}", *(f"{name:13}" for name in SHOWN), sep="", flush=True)
    for version in versions:
        try:
            chosen = resolve(all_requirements(), version)
        except ResolutionError as error:
            failures += 1
            print(f"{version:8}not everything has a wheel: {error}", flush=True)
            continue
        releases = [chosen[name]["metadata"]["version"] for name in SHOWN]
        print(f"{version:8}{len(chosen):<8}", *(f"{release:13}" for release in releases), sep="", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:] or supported_versions())))
