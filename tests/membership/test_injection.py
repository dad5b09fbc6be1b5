"""Members are exchanged between groups, and the candidate that finds them is chosen."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import normalize

from uota.arbitration.selection import average_precision
from uota.membership import injection
from uota.membership.injection import (
    COMBINED,
    PENALTY,
    Candidate,
    Weighted,
    choose,
    exchange,
    fit_weights,
    probably_right,
    run_trials,
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


def test_the_choice_is_made_among_a_sample_of_whole_groups(monkeypatch):
    random = torch.Generator().manual_seed(0)
    group = torch.arange(300).repeat_interleave(4)
    x = torch.randn(300, 16, generator=random)[group] + 0.5 * torch.randn(1200, 16, generator=random)
    monkeypatch.setattr(injection, "MEMBERS", 200)
    sample = injection.some_groups(group, seed=0)
    assert len(sample) == 200
    assert (group[sample].bincount(minlength=300) % 4 == 0).all()
    monkeypatch.setattr(injection, "LARGEST", 3)
    some = injection.some_groups(group, seed=0)
    assert set(group[some].bincount(minlength=300).tolist()) == {0, 3}
    assert torch.equal(some, some.unique())
    monkeypatch.undo()
    found = choose(project({"output": x}), group, seed=0).found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0.5 < each <= 1 for each in found.values())


def two_kinds(groups=150, size=4):
    """Vectors of members of which several kinds of features tell different things of their group."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    kinds = {
        name: torch.randn(groups, 8, generator=random)[group] + 0.5 * torch.randn(len(group), 8, generator=random)
        for name in ("output", "last", "before")
    }
    return project(kinds), group


def test_the_weights_are_those_of_a_logistic_regression_on_what_was_exchanged():
    z, group = two_kinds()
    found = choose(z, group, seed=0)
    assert found.found[COMBINED] > 0.97 * max(found.found.values())
    trials = run_trials(z, group, seed=0)
    x, wrong = trials.scores.flatten(0, 1).numpy(), trials.wrong.flatten().numpy()
    expected = LogisticRegression(C=PENALTY, max_iter=5000, tol=1e-8).fit(x.astype(float), ~wrong).coef_[0]
    np.testing.assert_allclose(fit_weights(trials, range(len(trials.wrong))), expected, atol=0.02)


def test_members_that_were_wrong_before_hardly_count_as_right_ones():
    z, group = two_kinds()
    z = z.clone()
    z[[0, 41]] = z[[41, 0]]  # members of two groups
    trials = run_trials(z, group, seed=0)
    right = probably_right(trials)
    assert right[[0, 41]].max() < 0.55
    assert right.mean() > 0.9
    assert next(iter(choose(z, group, seed=0).found.values())) > 0.9


def test_hard_members_of_a_group_are_no_reason_to_choose_another_score():
    """Members far from all groups are no exchanged ones, which margins know and similarities to the centre do not."""
    random = torch.Generator().manual_seed(0)
    z, group = two_kinds()
    odd = torch.randperm(len(z), generator=random)[:90]
    z = z.clone()
    z[odd] = normalize(torch.randn(len(odd), z.shape[1], generator=random) + 0.7 * z[odd], dim=1)
    exchanged = exchange(group, seed=5)
    found = choose(z, exchanged.group, seed=0)
    members = by_metrics(z, exchanged.group, 150, 0)
    by_sum, by_centre = (
        average_precision(-each, exchanged.wrong) for each in (found.best(members), members[PLAIN].plain)
    )
    assert by_sum > by_centre + 0.1


def test_a_sum_of_scores_is_the_sum_of_scores():
    z, group = two_kinds()
    one, other = Candidate(PLAIN, "centre"), Candidate(WHITENED, "rank")
    members = by_metrics(z, group, 150, 3)
    expected = 2 * SCORES["centre"](members[PLAIN]) - 0.5 * SCORES["rank"](members[WHITENED])
    torch.testing.assert_close(Weighted("both", {one: 2.0, other: -0.5})(members), expected)
    assert (one.name, other.name) == ("centre", "rank, whitened within groups")
