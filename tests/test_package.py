"""The sdist and the wheel: valid metadata, nothing missing, and a command that runs from the wheel alone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
import yaml

import uota

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks", "tools", "examples", "docs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def built(folder) -> tuple[Path, Path]:
    """The sdist, and the wheel built from the sdist."""
    pytest.importorskip("build", reason="`pip install -e .[dev]` brings it")
    tree = copy_sources(folder / "tree")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", tree)
    (sdist,) = folder.glob("dist/*.tar.gz")
    (wheel,) = folder.glob("dist/*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built, folder) -> Path:
    """Where the wheel is installed by itself."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    run(*pip, "--target", folder / "installed", built[1])
    return folder / "installed"


def copy_sources(tree: Path) -> Path:
    """Copy what the package is built from, since building leaves files beside it."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    return tree


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_installed(installed: Path, *arguments: str | Path) -> str:
    """Run Python with the wheel and its dependencies, and without the `.pth` files by which src would be found."""
    paths = os.pathsep.join([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return run(sys.executable, "-S", *arguments, PYTHONPATH=paths)


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


def test_twine_accepts_both_strictly(built):
    pytest.importorskip("twine", reason="`pip install -e .[dev]` brings it")
    assert run(sys.executable, "-m", "twine", "check", "--strict", *built).count("PASSED") == 2


def test_the_wheel_holds_every_file_of_the_package(built):
    files = {path for path in (ROOT / "src/uota").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    with zipfile.ZipFile(built[1]) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert "uota/py.typed" in packed
    for kind in (".yaml", ".png", ".webp", ".json", ".html", ".js", ".css"):
        assert any(name.endswith(kind) for name in packed), kind


def test_the_sdist_holds_what_its_tests_need(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "README.md", "CHANGELOG.md", "tools/find_python.sh"} <= names
    assert {"tests/conftest.py", "tests/test_package.py", "benchmarks/__init__.py"} <= names


def test_the_metadata_say_what_installs(built):
    metadata = metadata_of(built[1])
    assert (metadata["Name"], metadata["Requires-Python"]) == ("uota", ">=3.11")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert len(metadata.get_all("License-File")) == 5
    needed = [text for text in metadata.get_all("Requires-Dist") if "extra ==" not in text]
    assert any(text.startswith("torch>=") for text in needed)
    assert not any(text.startswith("lightly") for text in needed)  # it brings a package without a wheel


def test_the_command_runs_from_the_wheel(installed):
    assert "pretrain" in run_installed(installed, installed / "bin/uota", "--help")


def test_the_wheel_finds_its_data(installed):
    code = """
import uota
from uota.data import open_source
from uota.recipes import recipe_names
counts = [len(open_source(name, "test")) for name in ("demo", "demo-drawings")]
print(uota.__file__, *counts, *recipe_names(), sep="\\n")
"""
    file, images, drawings, *recipes = run_installed(installed, "-c", code).split()
    assert Path(file).is_relative_to(installed)
    assert (int(images), int(drawings)) == (2000, 576)
    assert "swav_demo" in recipes


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert uota.__version__ == project["version"] == citation["version"]
    assert citation["license"] == project["license"]
