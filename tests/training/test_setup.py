"""What a module of a run needs of the machine."""

import pytest
import torch
from torch._inductor import config

from uota.errors import UotaError
from uota.training.setup import translate_missing_compiler


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    compiled = torch.compile(lambda x: (x.cos() * 3).sum())
    says = r"there is no C\+\+ compiler; install one, .* or leave compile out"
    with pytest.raises(UotaError, match=says), translate_missing_compiler():
        compiled(torch.ones(7))


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="another"), translate_missing_compiler():
        raise RuntimeError("another")
