"""The two most similar groups: those of a sort, and by an index nearly always the same."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import similar
from uota.membership.similar import Index, Products, most_similar, search_among

GROUPS = 700


def vectors(count, dim, dtype=torch.float32, seed=0):
    return normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=-1)


def sorted_best(queries, centres, own):
    products = (queries @ centres.T).scatter_(1, own[:, None], -9)
    return products.topk(2, 1)


@pytest.mark.parametrize("held", [1, 2**24])
def test_the_two_most_similar_groups_are_those_of_a_sort(monkeypatch, held):
    monkeypatch.setattr(similar, "HELD", held)
    z = vectors(21, 8, torch.float64)
    found, expected = most_similar(z, z, torch.arange(21)), sorted_best(z, z, torch.arange(21))
    torch.testing.assert_close(found.similarity, expected.values)
    assert torch.equal(found.number, expected.indices)


def test_some_of_the_queries_are_looked_at():
    z, centres = vectors(30, 8), vectors(9, 8, seed=1)
    own, chosen = torch.arange(30) % 9, torch.tensor([3, 20, 4])
    every, some = most_similar(z, centres, own), most_similar(z, centres, own[chosen], chosen)
    assert torch.equal(some.number, every.number[chosen])


@pytest.mark.parametrize("dim", [32, 49])
def test_an_index_finds_nearly_all_and_never_the_own_group(monkeypatch, dim):
    pytest.importorskip("faiss")
    monkeypatch.setattr(similar, "EXACT", 100)
    monkeypatch.setattr(similar, "CELL", 100)
    centres = 2 * vectors(GROUPS, dim)
    own = torch.arange(GROUPS).repeat(3)
    queries = normalize(centres[own].roll(GROUPS // 2, 0) + vectors(len(own), dim, seed=1), dim=-1)
    assert isinstance(search_among(centres), Index)
    found, expected = most_similar(queries, centres, own), sorted_best(queries, centres, own)
    assert (found.number != own[:, None]).all()
    assert (found.number == expected.indices)[:, 0].double().mean() > 0.99
    assert (found.number == expected.indices)[:, 1].double().mean() > 0.9
    products = (queries[:, None] * centres[found.number]).sum(-1)
    torch.testing.assert_close(found.similarity, products)  # those of the shortlist are exact


def test_an_index_that_probes_few_of_its_cells_finds_what_is_near(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(similar, "EXACT", 100)
    monkeypatch.setattr(similar, "CELL", 20)
    monkeypatch.setattr(similar, "PROBED", 4)
    centres = normalize(vectors(35, 32).repeat(20, 1) + 0.5 * vectors(GROUPS, 32, seed=1), dim=-1)
    queries, own = centres + 0.3 * vectors(GROUPS, 32, seed=2), torch.arange(GROUPS).roll(9)
    found, expected = most_similar(queries, centres, own), sorted_best(queries, centres, own)
    assert (found.number == expected.indices)[:, 0].double().mean() > 0.95


def test_without_faiss_all_groups_are_compared_and_that_is_said(monkeypatch, caplog):
    monkeypatch.setattr(similar, "EXACT", 10)
    monkeypatch.setattr(similar, "find_spec", lambda name: None)
    assert isinstance(search_among(vectors(20, 8)), Products)
    assert "all of 20 vectors are compared" in caplog.text
    assert "pip install 'uota[index]'" in caplog.text
