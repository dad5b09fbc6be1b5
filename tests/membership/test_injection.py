"""Members are exchanged between groups, and the candidate that finds them is chosen."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from uota.membership import injection
from uota.membership.grouped import Grouped
from uota.membership.injection import (
    COMBINED,
    PENALTY,
    Candidate,
    Scorer,
    Weighted,
    choose,
    combinations,
    exchange,
    fit_weights,
    run_trials,
)
from uota.membership.projected import project
from uota.membership.scores import SCORES


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


def test_the_combinations_are_those_of_the_features_at_hand():
    x = torch.zeros(3, 2)
    assert combinations({"output": x}) == [("output",)]
    assert combinations({"output": x, "last": x}) == [("output",)]
    assert len(combinations({"output": x, "last": x, "before": x})) == 3
    assert combinations({"thumbnails": x, "colour": x}) == [("thumbnails", "colour")]


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
    found = choose({"output": x}, group, seed=0).found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0.5 < each <= 1 for each in found.values())


def two_kinds(groups=150, size=4):
    """Members of which two kinds of features tell different things of their group."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    kinds = {
        name: torch.randn(groups, 8, generator=random)[group] + 0.5 * torch.randn(len(group), 8, generator=random)
        for name in ("output", "last", "before")
    }
    return kinds, group


def test_the_weights_are_those_of_a_logistic_regression_on_what_was_exchanged():
    features, group = two_kinds()
    found = choose(features, group, seed=0)
    assert found.found[COMBINED] > 0.97 * max(found.found.values())
    trials = run_trials(features, group, seed=0)
    parts = [trials.of(place) for place in range(len(trials.injected))]
    x, wrong = (np.concatenate([part[place].numpy() for part in parts]) for place in (0, 1))
    expected = LogisticRegression(C=PENALTY, max_iter=5000, tol=1e-8).fit(x.astype(float), ~wrong).coef_[0]
    np.testing.assert_allclose(fit_weights(trials, range(len(parts))), expected, atol=5e-3)


def test_what_most_candidates_suspect_is_left_out_of_the_comparison():
    features, group = two_kinds()
    features = {name: each.clone() for name, each in features.items()}
    for each in features.values():
        each[[0, 41]] = each[[41, 0]]  # members of two groups
    trials = run_trials(features, group, seed=0)
    assert not trials.kept[[0, 41]].all()
    assert trials.kept.double().mean() > 0.9
    scores, wrong = trials.of(0)
    assert len(scores) == len(wrong) == int((trials.kept | trials.injected[0]).sum())


def test_scores_of_a_sum_are_the_sum_of_scores():
    features, group = two_kinds()
    one, other = Candidate(("output",), "centre"), Candidate(("last", "before"), "rank")
    scorer = Scorer(features, Weighted("both", {one: 2.0, other: -0.5}), seed=3)
    first, second = (Grouped(project(features, each.parts), group, 150, 3) for each in (one, other))
    expected = 2 * SCORES["centre"](first) - 0.5 * SCORES["rank"](second)
    chosen = torch.arange(0, len(group), 7)
    torch.testing.assert_close(scorer(scorer.grouped(group, 150, chosen)), expected[chosen])
