"""The comparison of an encoder before and after its training, against references in numpy."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from uota.data import open_source
from uota.evaluation.features import Features
from uota.evaluation.knn import evaluate_knn
from uota.settings.pretrain import Pretrain
from uota.training.baseline import Comparison, knn_top1, measure, read_comparison, retrieval_top1
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto


def test_knn_is_that_of_evaluation():
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 8, generator=random)
    labels, asked = torch.randint(0, 3, (90,), generator=random), torch.randint(0, 3, (40,), generator=random)
    bank, queries = (centres[y] + 2 * torch.randn(len(y), 8, generator=random) for y in (labels, asked))
    expected = evaluate_knn(Features(bank, labels), Features(queries, asked)).top1
    assert 40 < expected < 100
    assert knn_top1(bank, labels, queries, asked) == pytest.approx(expected)
    assert knn_top1(bank, 10 * labels + 7, queries, 10 * asked + 7) == pytest.approx(expected)


def test_retrieval_counts_both_directions():
    random = np.random.default_rng(0)
    first = random.normal(size=(30, 6))
    second = first + random.normal(size=(30, 6))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (first, second)]
    similarity = unit[0] @ unit[1].T
    hits = [(similarity.argmax(axis) == np.arange(30)).mean() for axis in (0, 1)]
    assert hits[0] != hits[1]
    found = retrieval_top1(torch.from_numpy(first).float(), torch.from_numpy(second).float())
    assert found == pytest.approx(100 * np.mean(hits))


def test_a_loss_within_the_standard_error_is_within_chance():
    few, many = Comparison("knn", 28, 75.0, 70.0, 60), Comparison("knn", 2800, 75.0, 70.0, 60)
    assert few.is_loss
    assert many.is_loss
    assert 100 * np.sqrt(0.75 * 0.25 / 28) > 5 > 100 * np.sqrt(0.75 * 0.25 / 2800)
    assert few.is_within_chance
    assert not many.is_within_chance


class Mean(nn.Module):
    """An encoder whose features are the image's mean colour."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.scale * images.mean((2, 3))


def test_labelled_images_are_classified_and_others_retrieved(pictures):
    settings = Pretrain.from_flat(data=str(pictures), init="random")
    source = open_source(str(pictures))
    settings = resolve_auto(settings, source)
    encoder = Mean()
    found = measure(encoder, source, settings)
    assert (found.kind, found.images) == ("knn", len(open_source(str(pictures), "test")))
    assert encoder.training
    source.labels = None
    found = measure(encoder, source, settings)
    assert (found.kind, found.images) == ("retrieval", len(source))
    assert found == measure(encoder, source, settings)


def test_a_run_writes_and_prints_both_figures(pictures, small, tmp_path, capsys):
    run = pretrain(small(), tmp_path / "run", bar=False)
    found = read_comparison(run.baseline_file)
    assert (found.kind, found.steps) == ("knn", 3)
    assert f"before training: kNN {found.before:.1f} % (20 images)" in capsys.readouterr().out
    assert found.line() == f"before training: kNN {found.before:.1f} %, after 3 steps: {found.after:.1f} % (20 images)"
    assert json.loads(run.baseline_file.read_text())["kind"] == "knn"


def test_a_loss_is_told():
    assert Comparison("knn", 10, 50.0, 49.0, 3).is_loss
    assert not Comparison("knn", 10, 50.0, 50.0, 3).is_loss
    assert not Comparison("knn", 10, 50.0).is_loss


def test_a_damaged_file_tells_nothing(tmp_path):
    assert read_comparison(tmp_path / "baseline.json") is None
    (tmp_path / "baseline.json").write_text("[]")
    assert read_comparison(tmp_path / "baseline.json") is None
