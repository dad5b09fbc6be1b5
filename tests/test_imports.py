"""What imports what: arbitration and losses need torch and jaxtyping alone, and `uota --help` needs neither."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "uota"
# What `pip install torch jaxtyping` brings.
BROUGHT = """torch functorch torchgen filelock typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec triton
    setuptools _distutils_hack nvidia cuda jaxtyping wadler_lindig"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(folder):
    """The top-level modules outside the package that its files import, also within functions."""
    for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("place", ["arbitration", "losses", "distributed.py", "numerics.py"])
def test_what_another_trainer_takes_imports_torch_and_jaxtyping_alone(place):
    assert set(imported(PACKAGE / place)) - sys.stdlib_module_names <= {"torch", "jaxtyping", "uota"}


def test_the_package_imports_nothing_that_only_tests_depend_on():
    assert not {"lightly", "pytest", "hypothesis", "beartype", "webdataset"} & set(imported(PACKAGE))


BARE = f"""
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

KNOWN = set(sys.stdlib_module_names) | {set(BROUGHT.split()) | {"uota"}!r}

class BareFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.partition(".")[0] in KNOWN or name.startswith("_sysconfigdata_")  # named after the platform
        return super().find_spec(name, path, target) if known else None

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, BareFinder]
"""
USE = """
import torch
import uota
from uota.arbitration import Arbiter, ViewSampler, arbitrate, thumbnails

x = torch.randn(4, 16, 8)
assert arbitrate(x, ess=0.9).weights.shape == (4, 16)
for name in ("learned", "two_groups"):
    arbiter = Arbiter(name)
    arbiter(x)
    assert arbiter(x).weights.shape == (4, 16)
assert uota.Arbiter is Arbiter
views = [torch.rand(2, 8, 3, 32, 32), torch.rand(4, 8, 3, 16, 16)]
assert ViewSampler([2, 2])(views).chosen.shape == (4, 8)
import uota.losses
"""


def test_arbitration_works_with_torch_and_jaxtyping_alone():
    run(BARE + USE + "assert 'numpy' not in sys.modules")


def test_the_bare_environment_refuses_other_modules():
    code = BARE + "\ntry:\n    import numpy\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    assert "No module named 'numpy'" in run(code)


def test_importing_arbitration_does_not_import_the_compiler():
    run("import sys, uota.arbitration; assert 'torch._dynamo' not in sys.modules")


HELPS = """
import contextlib, io, sys
import uota
from uota.commands import COMMANDS
from uota.commands.cli import main
from uota.settings.evaluation import SETTINGS
from uota.settings.transfer import TASKS

chosen = [[], *([name] for name in COMMANDS), *(["evaluate", name] for name in SETTINGS)]
for arguments in [*chosen, *(["transfer", name] for name in TASKS)]:
    text = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(text):
        main([*arguments, "--help"])
    assert "--help" in text.getvalue(), arguments
    for heavy in ("torch", "numpy", "scipy", "PIL", "matplotlib", "rich.table"):
        assert heavy not in sys.modules, (arguments, heavy)
    print(*arguments)
"""


def test_no_help_imports_torch():
    assert {"", "pretrain", "evaluate linear-sgd", "transfer keypoints"} <= set(run(HELPS).split("\n"))


def test_settings_import_no_torch():
    names = [f"uota.settings.{file.stem}" for file in sorted((PACKAGE / "settings").glob("[a-z]*.py"))]
    assert "uota.settings.pretrain" in names
    run(f"import sys, {', '.join(names)}; assert 'torch' not in sys.modules")


def test_public_names_come_when_they_are_asked_for():
    code = """
import sys, uota
assert "torch" not in sys.modules
assert set(uota.__all__) <= set(dir(uota))
from uota import Arbiter, arbitrate
assert arbitrate is uota.arbitrate is uota.arbitration.arbitrate
assert "pytorch_lightning" not in sys.modules
from uota import inspect
assert inspect.__module__.startswith("uota.inspection")
"""
    run(code)
