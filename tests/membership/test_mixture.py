"""Probabilities and shares of outliers, on scores whose distributions are known."""

import math

import pytest
import torch
from scipy.stats import norm, rankdata

from uota.membership.mixture import Nulls, estimate, ranks, share_interval

MEMBERS, SHARE, GAP = 20_000, 0.1, 3.0


@pytest.fixture(scope="module")
def scores():
    random = torch.Generator().manual_seed(0)
    wrong = torch.rand(MEMBERS, generator=random) < SHARE
    observed = torch.randn(MEMBERS, generator=random) - GAP * wrong
    return observed, torch.randn(MEMBERS, generator=random) - GAP


def test_probabilities_are_those_of_bayes(scores):
    observed, null = scores
    probability, _, share = estimate(observed, Nulls(null))
    assert share == pytest.approx(SHARE, abs=0.01)
    outliers = SHARE * norm.pdf(observed.numpy() + GAP)
    expected = outliers / (outliers + (1 - SHARE) * norm.pdf(observed.numpy()))
    assert float(abs(probability.numpy() - expected).mean()) < 0.01


def test_of_few_members_the_only_outlier_does_not_seem_impossible():
    random = torch.Generator().manual_seed(0)
    null = torch.randn(1000, generator=random) - 8
    observed = torch.cat([torch.randn(47, generator=random), torch.tensor([-7.5])])  # above the median of the null
    probability, _, share = estimate(observed, Nulls(null))
    assert share == pytest.approx(0, abs=1e-9)
    assert 0.1 < probability[-1] < 0.9
    assert probability[:-1].max() < 0.01


def test_any_increasing_map_of_the_scores_gives_the_same(scores):
    observed, null = (each.double() for each in scores)
    torch.testing.assert_close(estimate(observed, Nulls(null)), estimate(observed.exp(), Nulls(null.exp())))


def test_the_interval_covers_the_share_and_widens_where_members_of_a_group_are_alike(scores):
    observed, null = (each[:4000] for each in scores)
    single, alike = torch.arange(4000), torch.arange(4000) // 50
    low, high = share_interval(observed, single, Nulls(null), single, seed=0)
    assert low < SHARE < high
    assert high - low < 0.06
    order = observed.argsort()  # whole groups are outliers
    wide = share_interval(observed[order], alike, Nulls(null), alike, seed=0)
    assert wide[1] - wide[0] > 2 * (high - low)
    assert share_interval(observed, single, Nulls(null), single, seed=0) == (low, high)


def test_the_interval_has_room_for_outliers_of_which_none_stands_out():
    random = torch.Generator().manual_seed(0)
    observed, null = torch.randn(500, generator=random), torch.randn(1000, generator=random) - 50
    low, high = share_interval(observed, torch.arange(500), Nulls(null), torch.arange(1000) % 500, seed=0)
    assert (low, high) == (0, pytest.approx(2 * math.log(40) / 500))  # where exp(−share · 500 / 2) is 0.025
    assert share_interval(observed[:5], torch.arange(5), Nulls(null), torch.arange(1000) % 5, seed=0)[1] == 1


def test_ranks_are_those_of_scipy_with_ties():
    observed, null = torch.tensor([0.1, 0.2, 0.2, 0.5]), torch.tensor([0.2, 0.0])
    expected = (rankdata(torch.cat([observed, null])) - 0.5) / 6
    torch.testing.assert_close(torch.cat(ranks(observed, null)), torch.from_numpy(expected))


@pytest.fixture(scope="module")
def of_two_kinds():
    """Scores of members of which some belong to another group and some to none, and those that are known."""
    random = torch.Generator().manual_seed(1)
    kind = torch.rand(MEMBERS, generator=random)
    misplaced, foreign = kind < 0.04, kind > 0.92
    observed = torch.randn(MEMBERS, generator=random) - 6 * misplaced - 4 * foreign
    known = torch.randn(2, 2000, generator=random) - torch.tensor([[6.0], [4.0]])
    return observed, Nulls(*known)


def test_members_of_no_group_are_told_from_members_of_other_groups(of_two_kinds):
    observed, nulls = of_two_kinds
    found = estimate(observed, nulls)
    assert found.share == pytest.approx(0.12, abs=0.01)
    density = [share * norm.pdf(observed.numpy() + gap) for share, gap in ((0.88, 0), (0.04, 6), (0.08, 4))]
    expected = (density[1] + density[2]) / sum(density)
    assert float(abs(found.probability.numpy() - expected).mean()) < 0.01
    surely = found.probability > 0.9
    elsewhere = density[1] / (density[1] + density[2])
    assert float(abs(found.elsewhere.numpy() - elsewhere)[surely].mean()) < 0.1
    interval = share_interval(observed, torch.arange(MEMBERS), nulls, torch.arange(2000), seed=0)
    assert interval[0] < 0.12 < interval[1]


def test_probabilities_are_means_over_whether_there_are_members_of_no_group(of_two_kinds):
    observed, (misplaced, foreign, _) = of_two_kinds
    alone, half, both = (estimate(observed, Nulls(misplaced, foreign, trust)) for trust in (0.0, 0.5, 1.0))
    torch.testing.assert_close(alone.probability, estimate(observed, Nulls(misplaced)).probability)
    torch.testing.assert_close(2 * half.probability, alone.probability + both.probability)
    assert 2 * half.share == pytest.approx(alone.share + both.share)
    assert alone.elsewhere.unique().tolist() == [1]
    place = torch.arange(MEMBERS), torch.arange(2000)
    intervals = [
        share_interval(observed, place[0], Nulls(misplaced, foreign, trust), place[1], seed=0) for trust in (0, 0.5, 1)
    ]
    assert intervals[1][0] == pytest.approx(intervals[0][0], abs=0.01)
    assert intervals[1][1] == pytest.approx(intervals[2][1], abs=0.01)
