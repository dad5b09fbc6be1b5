"""Retrieval across kinds."""

import pytest
import torch

from uota.evaluation.retrieval import evaluate_retrieval


def test_only_images_of_other_kinds_are_searched():
    # Images of a kind are alike.
    x = torch.tensor(
        [[1.0, 0.1, 0.0], [1.0, 0.0, 0.2], [1.0, -0.1, -0.1], [0.2, 1.0, 0.0], [0.2, 0.0, 1.0], [0.0, 1, 1]]
    )
    things, kinds = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0, 0, 0, 1, 1, 1])
    z = x / x.norm(dim=1, keepdim=True)
    expected = 0
    for row in range(6):
        others = [other for other in range(6) if kinds[other] != kinds[row]]
        nearest = max(others, key=lambda other: float(z[row].double() @ z[other].double()))
        expected += int(things[nearest] == things[row])
    assert evaluate_retrieval(x, things, kinds) == pytest.approx(100 * expected / 6)
    assert 0 < expected < 6


def test_scale_and_batches_do_not_matter(monkeypatch):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(30, 8, generator=random)
    things, kinds = torch.arange(30) // 3, torch.arange(30) % 3
    whole = evaluate_retrieval(x, things, kinds)
    monkeypatch.setattr("uota.evaluation.retrieval.BATCH", 7)
    assert evaluate_retrieval(x * torch.rand(30, 1, generator=random).add(0.1), things, kinds) == whole
