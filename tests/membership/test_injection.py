"""Members are exchanged between groups, and the candidate that finds them is chosen."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import injection
from uota.membership.injection import choose, combinations, exchange, project


@pytest.mark.parametrize("sizes", [[3] * 50, [2, 40, 5, 1, 1, 9]])
def test_a_share_changes_groups_and_no_group_changes_its_size(sizes):
    group = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    exchanged, injected = exchange(group, seed=1, share=0.2)
    assert torch.equal(exchanged.bincount(), group.bincount())
    assert torch.equal(exchanged != group, injected)
    assert 0 < injected.sum() <= round(0.2 * len(group))
    assert not injected[group.bincount()[group] == 1].any()
    assert torch.equal(exchange(group, seed=1, share=0.2)[0], exchanged)
    assert not torch.equal(exchange(group, seed=2, share=0.2)[0], exchanged)


def test_features_are_centred_and_parts_weigh_the_same():
    random = torch.Generator().manual_seed(0)
    a, b = 5 + torch.randn(9, 4, generator=random), 100 * torch.randn(9, 30, generator=random)
    z = project({"a": a, "b": b}, ("a", "b"))
    expected = torch.cat([normalize(a - a.mean(0), dim=1), normalize(b - b.mean(0), dim=1)], 1) / 2**0.5
    torch.testing.assert_close(z, expected)


def test_the_combinations_are_those_of_the_features_at_hand():
    x = torch.zeros(3, 2)
    assert combinations({"output": x}) == [("output",)]
    assert combinations({"output": x, "last": x}) == [("output",), ("output", "last")]
    assert len(combinations({"output": x, "last": x, "before": x})) == 5
    assert combinations({"thumbnails": x, "colour": x}) == [("thumbnails", "colour")]


def test_the_choice_is_made_among_a_sample_of_whole_groups(monkeypatch):
    random = torch.Generator().manual_seed(0)
    group = torch.arange(300).repeat_interleave(4)
    x = torch.randn(300, 16, generator=random)[group] + 0.5 * torch.randn(1200, 16, generator=random)
    monkeypatch.setattr(injection, "MEMBERS", 200)
    sample = injection._some_groups(group, seed=0)
    assert len(sample) == 200
    assert (group[sample].bincount(minlength=300) % 4 == 0).all()
    found = choose({"output": x}, group, seed=0).found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0.5 < each <= 1 for each in found.values())
