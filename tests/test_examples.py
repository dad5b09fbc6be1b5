"""The examples in docstrings, in the README and in `examples/` run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

import uota

MODULES = [name for _, name, _ in pkgutil.walk_packages(uota.__path__, "uota.")]
README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, caplog):
    caplog.set_level("WARNING", "uota")  # a session without the command line shows no other messages
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
def test_readme(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"z": torch.randn(6, 32, 16), "loss_of_each_view": torch.rand(6, 32)}
    names |= {
        "large": torch.rand(2, 32, 3, 24, 24),
        "small": torch.rand(4, 32, 3, 16, 16),
        "twice_the_large": torch.rand(4, 32, 3, 24, 24),
        "twice_the_small": torch.rand(12, 32, 3, 16, 16),
        "dataset": torch.randint(0, 256, (40, 3, 40, 40), dtype=torch.uint8),
        "encoder": torch.nn.AdaptiveAvgPool2d(4),
        "uota": uota,
    }
    exec(code, names)
    made = [names[name] for name in ("loss", "large", "small") if name in names]
    assert made or (tmp_path / "page.html").exists()
    assert all(bool(x.isfinite().all()) for x in made)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")  # a warning of lightly
@pytest.mark.parametrize("name", ["lightly_swav", "lightly_dino"])
def test_a_third_party_loop_trains_on_selected_views(name, pictures, capsys):
    module = importlib.import_module(f"examples.{name}")
    before = resnet18().state_dict().keys()
    model = module.main(str(pictures), sizes=(32, 16), epochs=2, batch_size=48)
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    assert {key for key in before if not key.startswith("fc")} == model.backbone.state_dict().keys()
    losses = re.findall(r"loss (\d+\.\d+)", capsys.readouterr().out)
    assert len(losses) == 2
