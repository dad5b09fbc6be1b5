"""Guarantees of training for every method: unlabelled images, bf16, and resuming."""

import csv
import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods import METHODS, Embedded, Step, allowing
from uota.methods.build import build_method
from uota.runs.run import Run
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain

VIEWS = {"cpc_v2": "small-cpc"}
CANDIDATES = {"swav": 2, "byol": 2}  # views are chosen before the encoder
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def settings(small, pictures, tmp_path):
    """Make the settings of a short run of a method, on pictures without labels unless it needs them."""

    def make(method, **changes):
        unlabelled = tmp_path / "unlabelled"
        if not unlabelled.exists():
            shutil.copytree(pictures / "class0", unlabelled)
        data = pictures if METHODS[method].needs_labels else unlabelled
        views = VIEWS.get(method, "small")
        candidates = {"candidates": CANDIDATES.get(method, 1)}
        local = {"local_views": None if method in VIEWS else 1}
        return small(method=method, data=str(data), views=views, batch_size=12, **local | candidates | changes)

    return make


def weights(run):
    return {key: value for key, value in run.state()["state_dict"].items() if isinstance(value, torch.Tensor)}


@every_method
def test_bf16_on_a_folder_trains_and_shows_no_collapse(settings, tmp_path, method):
    run = pretrain(settings(method, precision="bf16"), tmp_path / "run", bar=False, lines=False)
    assert all(bool(torch.isfinite(value).all()) for value in weights(run).values())
    (log,) = (run.folder / "logs").glob("*/metrics.csv")
    last = list(csv.DictReader(log.read_text().splitlines()))[-1]
    assert float(last["rankme"]) > 2


@every_method
def test_interrupted_and_resumed_equals_uninterrupted(settings, tmp_path, method, monkeypatch):
    chosen = settings(method, epochs=2)
    whole = pretrain(chosen, tmp_path / "whole", bar=False, lines=False)
    step = Pretraining.training_step

    def interrupted(self, views, batch_index):
        if self.global_step == 4:  # within the second epoch
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", interrupted)
    with pytest.raises(UotaError, match="--resume"):
        pretrain(chosen, tmp_path / "parts", bar=False, lines=False)
    monkeypatch.undo()
    parts = Run(tmp_path / "parts")
    assert parts.state()["global_step"] == 5
    pretrain(parts.settings(), parts.folder, resume=True, bar=False, lines=False)
    assert parts.state()["global_step"] == whole.state()["global_step"]
    found = weights(parts)
    for key, value in weights(whole).items():
        assert torch.equal(value, found[key]), key


def test_the_documented_custom_method(settings, tmp_path, monkeypatch):
    """The example of docs/your-own-method.md trains, and its weights have the documented effect."""
    page = (Path(__file__).parents[2] / "docs" / "your-own-method.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "vicreg.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    chosen = settings("swav")
    with allowing(["vicreg.VICReg"]):
        run = pretrain(
            chosen.replace_flat(method="vicreg.VICReg", method_options={"dim": 32}),
            tmp_path / "run",
            bar=False,
            lines=False,
        )
        method = build_method(run.settings()).eval()
    assert json.loads(run.settings_file.read_text())["method"]["name"] == "vicreg.VICReg"
    x, ones = torch.randn(4, 12, 32, requires_grad=True), torch.ones(4, 12)
    embedded = Embedded(x, x, [], [x[:2], x[2:]])
    losses = [method.loss(embedded, ViewWeights(factor * ones), Step()) for factor in (1, 3)]
    torch.testing.assert_close(losses[1], losses[0])
    ones[1, 5] = 0
    method.loss(embedded, ViewWeights(ones), Step()).backward()
    assert float(x.grad[1, 5].abs().max()) == 0
    assert float(x.grad[1, 4].abs().max()) > 0
