"""Members are exchanged between groups, and the candidate that finds them is chosen."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize

from uota.arbitration.selection import average_precision
from uota.membership import injection
from uota.membership.injection import (
    CANDIDATES,
    COMBINED,
    PENALTY,
    Candidate,
    Exchanged,
    Weighted,
    choose,
    exchange,
    exchanges,
    fit_weights,
    probably_right,
    score_all,
    try_scores,
)
from uota.membership.metric import PLAIN, WHITENED, by_metrics
from uota.membership.projection import project
from uota.membership.scores import SCORES


@pytest.mark.parametrize("sizes", [[3] * 50, [2, 40, 5, 1, 1, 9]])
def test_a_share_changes_groups_and_no_group_changes_its_size(sizes):
    group = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    exchanged, moved, wrong = exchange(group, seed=1, share=0.2)
    assert torch.equal(exchanged.bincount(), group.bincount())
    assert torch.equal(exchanged != group, moved)
    assert 0 < moved.sum() <= round(0.2 * len(group))
    assert not moved[group.bincount()[group] == 1].any()
    assert torch.equal(wrong[group.bincount()[exchanged] != 2], moved[group.bincount()[exchanged] != 2])
    assert torch.equal(exchange(group, seed=1, share=0.2).group, exchanged)
    assert not torch.equal(exchange(group, seed=2, share=0.2).group, exchanged)


def test_something_is_exchanged_among_the_fewest_members():
    group = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    assert all(exchange(group, seed, 0.1).moved.any() for seed in range(20))


def test_of_two_members_that_do_not_belong_together_both_are_wrong():
    group = torch.arange(50).repeat_interleave(2)
    exchanged, moved, wrong = exchange(group, seed=0, share=0.1)
    for own in range(50):
        of_group = exchanged == own
        assert wrong[of_group].all() if moved[of_group].any() else not wrong[of_group].any()
    assert int(moved.sum()) < int(wrong.sum()) <= 2 * int(moved.sum())


def test_members_are_exchanged_as_often_as_it_takes():
    few, many = torch.arange(20).repeat_interleave(3), torch.arange(30_000).repeat_interleave(2)
    assert [len(exchanges(each, seed=0)) for each in (few, many)] == [16, 2]
    first, second = exchanges(many, seed=0)
    assert not torch.equal(first.group, second.group)
    assert torch.equal(first.group, exchanges(many, seed=0)[0].group)


def test_all_that_is_wrong_and_some_of_the_others_are_scored(monkeypatch):
    z, group = two_kinds()
    exchanged = exchange(group, seed=0)
    several = torch.arange(len(group))
    every = trial_of(z, exchanged, several)
    assert torch.equal(every.rows, several)
    assert torch.equal(every.wrong, exchanged.wrong)
    members = by_metrics(z, exchanged.group, 150, 0)
    expected = torch.stack([SCORES[each.score](members[each.metric]) for each in CANDIDATES], 1)
    torch.testing.assert_close(every.scores, expected)
    monkeypatch.setattr(injection, "STAYING", 50)
    some = trial_of(z, exchanged, several[10:])
    assert len(some.rows) == int(exchanged.wrong.sum()) + 50
    assert some.wrong.sum() == exchanged.wrong.sum()
    assert torch.isin(some.rows[~some.wrong], several[10:]).all()
    torch.testing.assert_close(some.scores, expected[some.rows])


def two_kinds(groups=150, size=4):
    """Vectors of members of which several kinds of features tell different things of their group."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    kinds = {
        name: torch.randn(groups, 8, generator=random)[group] + 0.5 * torch.randn(len(group), 8, generator=random)
        for name in ("output", "last", "before")
    }
    return project(kinds), group


def trial_of(z, exchanged, several):
    return try_scores(z, exchanged, several, 0)[0]
