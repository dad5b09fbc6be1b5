"""Members are exchanged between groups, and the candidate that finds them is chosen."""

import pytest
import torch
from tests.membership.made import trial_of, two_kinds

from uota.membership import injection
from uota.membership.injection import (
    CANDIDATES,
    exchange,
    exchanges,
)
from uota.membership.metric import PLAIN, by_metrics
from uota.membership.scores import SCORES


@pytest.mark.parametrize("sizes", [[3] * 50, [2, 40, 5, 1, 1, 9]])
def test_a_share_changes_groups_and_no_group_changes_its_size(sizes):
    group = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    exchanged, moved, wrong, _ = exchange(group, seed=1, share=0.2)
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
    exchanged, moved, wrong, _ = exchange(group, seed=0, share=0.1)
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


@pytest.mark.parametrize("size", [2, 5])
def test_the_home_of_a_wrong_member_is_where_most_of_its_group_is_now(size):
    group = torch.arange(60).repeat_interleave(size)
    exchanged = exchange(group, seed=3, share=0.1)
    for member in torch.nonzero(exchanged.wrong)[:, 0].tolist():
        others = (group == group[member]) & (torch.arange(len(group)) != member)
        assert exchanged.home[member] == exchanged.group[others].mode().values


def test_all_that_is_wrong_is_scored_twice_and_some_of_the_others_once(monkeypatch):
    z, group = two_kinds()
    exchanged, every = exchange(group, seed=0), torch.arange(len(group))
    found = trial_of(z, exchanged, every)
    once = ~found.foreign
    assert torch.equal(found.rows[once], every)
    assert torch.equal(found.wrong[once], exchanged.wrong)
    assert torch.equal(found.rows[found.foreign], torch.nonzero(exchanged.wrong)[:, 0])
    members = by_metrics(z, exchanged.group, 150, 0)
    expected = torch.stack([SCORES[each.score](members[each.metric]) for each in CANDIDATES], 1)
    torch.testing.assert_close(found.scores[once], expected)
    monkeypatch.setattr(injection, "STAYING", 50)
    some = trial_of(z, exchanged, every[10:])
    assert int(some.misplaced.sum()) == int(some.foreign.sum()) == int(exchanged.wrong.sum())
    assert int((~some.wrong).sum()) == 50
    assert torch.isin(some.rows[~some.wrong], every[10:]).all()
    torch.testing.assert_close(some.scores[~some.foreign], expected[some.rows[~some.foreign]])


def test_foreign_members_are_scored_as_if_their_group_were_not_there():
    z, group = two_kinds()
    exchanged = exchange(group, seed=0)
    found = trial_of(z, exchanged, torch.arange(len(group)))
    member = int(torch.nonzero(exchanged.moved)[0])
    there = exchanged.group != group[member]
    shifted = exchanged.group[there] - (exchanged.group[there] > group[member]).long()
    members = by_metrics(z[there], shifted, 149, 0)
    place = int(there[:member].sum())
    for number in [place for place, each in enumerate(CANDIDATES) if each.metric == PLAIN]:
        score = SCORES[CANDIDATES[number].score](members[PLAIN])[place]
        foreign = found.scores[found.foreign & (found.rows == member), number][0]
        assert foreign == pytest.approx(float(score), abs=0.02), CANDIDATES[number]  # other means, as fewer are there
