"""`make` takes the first Python that will do, and says so where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/find_python.sh"


@pytest.fixture
def old(tmp_path):
    """A command that answers as a Python that is too old."""
    path = tmp_path / "python3"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def find(*candidates):
    return subprocess.run([SCRIPT, *candidates], capture_output=True, text=True)


def test_takes_the_first_that_will_do(old):
    assert find(old, "python-of-nobody", sys.executable, "python3").stdout.strip() == sys.executable


def test_says_what_to_do_where_none_will(old):
    found = find(old, "python-of-nobody")
    assert found.returncode == 1
    assert found.stdout == ""
    assert "no Python 3.11 or later" in found.stderr
    assert "make PYTHON=" in found.stderr
