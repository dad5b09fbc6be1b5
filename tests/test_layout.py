"""The layout: imports run downwards, without circles, and tests mirror the package."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import uota

ROOT = Path(uota.__file__).parent
TESTS = Path(__file__).parent
# Each room may import those before it. `commands` is the top; `training` has everything that trains with a Trainer.
ROOMS = (
    *("errors", "numerics", "distributed", "console", "io", "pages", "settings", "recipes"),
    *("arbitration", "losses", "views", "data", "encoders", "methods", "runs"),
    *("membership", "training", "evaluation", "transfer", "comparison", "inspection", "demo", "commands", "__main__"),
)
# What another trainer may take alone.
ALONE = {"arbitration": {"numerics", "distributed"}, "losses": {"numerics", "distributed"}}
# Tests of several rooms at once.
ACROSS = {"hostile", "fidelity", "benchmarks", "tools"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(module: str) -> set[str]:
    """The modules of the package that a module imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "uota":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
    return found - {module}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_there_is_no_circle_of_imports():
    graph = {module: imported(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


@pytest.mark.parametrize("room", sorted({room_of(module) for module in MODULES} - {""}))
def test_imports_run_downwards(room):
    below = set(ROOMS[: ROOMS.index(room)])
    for module in MODULES:
        if room_of(module) == room:
            upwards = {room_of(other) for other in imported(module)} - below - {room}
            assert not upwards, f"{module} imports {upwards}"


@pytest.mark.parametrize("room", ALONE)
def test_what_another_trainer_takes_stands_alone(room):
    for module in MODULES:
        if room_of(module) == room:
            assert {room_of(other) for other in imported(module)} <= ALONE[room] | {room}, module


def test_tests_mirror_the_package():
    for path in TESTS.rglob("test_*.py"):
        folder = path.relative_to(TESTS).parent
        assert folder.parts[:1] in [(name,) for name in ACROSS] or (ROOT / folder).is_dir(), path
