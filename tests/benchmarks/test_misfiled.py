"""Methods of others that misfiled members are found with, and what the lines are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import beta

from benchmarks.misfiled import picture, strangers
from benchmarks.misfiled.__main__ import calibration_error, table_of
from benchmarks.misfiled.features import Featured
from benchmarks.misfiled.others import beta_mixture, prism


def test_prism_is_the_softmax_over_groups():
    cosines = torch.tensor([[0.9, 0.1], [0.2, 0.4]])
    expected = np.exp([0.9, 0.4]) / (np.exp([0.9, 0.4]) + np.exp([0.1, 0.2]))
    torch.testing.assert_close(prism(cosines, torch.tensor([0, 1])), torch.tensor(expected, dtype=torch.float32))


def test_a_mixture_of_two_betas_tells_them_apart():
    random = np.random.default_rng(0)
    right, wrong = beta(40, 8).rvs(900, random_state=random), beta(20, 20).rvs(100, random_state=random)
    of_wrong = beta_mixture(torch.from_numpy(2 * np.concatenate([right, wrong]) - 1))
    ratio = 0.1 * beta(20, 20).pdf(0.6) / (0.1 * beta(20, 20).pdf(0.6) + 0.9 * beta(40, 8).pdf(0.6))
    at = float(of_wrong[np.abs(np.concatenate([right, wrong]) - 0.6).argmin()])
    assert at == pytest.approx(ratio, abs=0.15)
    assert of_wrong[900:].mean() > 0.8 > 0.1 > of_wrong[:900].mean()


def test_the_calibration_error_is_the_mean_gap():
    probability = torch.tensor([0.05, 0.05, 0.95, 1.0])
    assert calibration_error(probability, torch.tensor([True, False, True, True])) == pytest.approx(0.9 / 4 + 0.05 / 4)
    assert calibration_error(probability[:0], torch.zeros(0, dtype=torch.bool)) == 0


def test_the_table_has_means_over_seeds():
    line = {
        "data": "made", "share": 0.1, "members": 9, "wrong": 0.1, "estimated": 0.2, "interval": [0.0, 0.05], "told": 1,
        "right_group": None, "calibration_error": 0.01,
    }  # fmt: skip
    others = {"cosine to the centre": 0.5, "cleanlab a": 0.6, "kNN agreement": 0.7}
    rows = [line | {"uota": 0.8, "others": others}, line | {"uota": 0.9, "right_group": 0.5, "others": others}]
    *_, row = table_of(rows)
    assert "| **0.850** ± 0.071 | 0.700 | kNN agreement | 0.500 | 0.600 | 20.0 % | 0 of 2 | 50 % | 0.010 |" in row


def test_the_picture_shows_the_first_of_the_list(tmp_path, monkeypatch):
    group = torch.arange(4).repeat_interleave(10)
    x = torch.eye(4)[group] + 0.1 * torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    x[7] = x[25]
    files = {name: [tmp_path / f"{name} {number}.png" for number in range(10)] for name in "abcd"}
    drawn: list[Path] = []

    def on_white(file):
        drawn.append(file)
        return Image.new("RGB", (128, 128), "red")

    monkeypatch.setattr(picture, "featured", lambda name: Featured({"output": x}, group))
    monkeypatch.setattr(picture, "by_category", lambda root, most: files)
    monkeypatch.setattr(picture, "on_white", on_white)
    picture.main(["--out", str(tmp_path / "sheet.png")])
    assert (len(drawn), drawn[0].name) == (picture.SHOWN, "a 7.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (10 * picture.CELL[0], 2 * picture.CELL[1])


def test_strangers_are_of_no_group(tmp_path, monkeypatch):
    group = torch.arange(60).repeat_interleave(4)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(60, 16, generator=random)[group] + 0.2 * torch.randn(240, 16, generator=random)
    monkeypatch.setattr(strangers, "featured", lambda name: Featured({"output": x}, group))
    monkeypatch.setattr(strangers, "STRANGERS", 20)
    line = strangers.measure(strangers.Run("made", 0))
    assert (line["members"], line["wrong"]) == (240, round(20 / 240, 4))
    assert line["ap"] > 0.8
