"""Every example that a person may copy runs: those in docstrings, and the README's."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch

import uota

MODULES = [name for _, name, _ in pkgutil.walk_packages(uota.__path__, "uota.")]
README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
def test_readme(code):
    names = {"thumbnails": torch.rand(6, 32, 144), "z": torch.randn(6, 32, 16), "loss_of_each_view": torch.rand(6, 32)}
    exec(code, names)
    assert torch.isfinite(names["loss"])
