"""Every benchmark can be started as its first lines say: python -m benchmarks.NAME."""

from importlib import import_module
from pathlib import Path

import pytest

import benchmarks

FILES = Path(benchmarks.__file__).parent.glob("*.py")
STARTED = sorted(file.stem for file in FILES if "__main__" in file.read_text())


@pytest.mark.parametrize("name", STARTED)
def test_it_imports_as_a_module_and_says_how_it_is_started(name: str) -> None:
    said = import_module(f"benchmarks.{name}").__doc__ or ""
    assert f"python -m benchmarks.{name}" in said
