"""Members that do not belong are found in groups of any sizes, with probabilities that hold; nothing is trained."""

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn.functional import normalize

from uota import UotaError
from uota.membership.injection import exchange
from uota.membership.members import false_discoveries, score_members


def made(sizes, share, seed=0, dim=32, noise=0.6):
    """Features around a direction for each group, and the groups after a share of the members was exchanged."""
    random = torch.Generator().manual_seed(seed)
    home = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    x = 3 + torch.randn(len(sizes), dim, generator=random)[home]
    x = x + noise * torch.randn(x.shape, generator=random)
    if not share:
        return {"output": x}, home, torch.zeros(len(home), dtype=torch.bool), home
    exchanged = exchange(home, seed + 1, share)
    return {"output": x}, exchanged.group, exchanged.wrong, home


@pytest.mark.parametrize("sizes", [[3] * 200, [2] * 150 + [5] * 60 + [200, 40]])
def test_misfiled_members_come_first_with_the_group_that_they_belong_to(sizes):
    features, group, wrong, home = made(sizes, 0.1)
    found = score_members(features, group)
    assert average_precision_score(wrong, -found.score) > 0.85
    flagged = (found.probability > 0.5) & wrong
    assert flagged.sum() > 0.7 * wrong.sum()
    moved = flagged & (group != home)
    assert (found.fits[moved] == home[moved]).double().mean() > 0.8
    assert (found.fits != group).all()
    assert found.interval[0] <= found.share <= found.interval[1]


def test_the_share_and_the_probabilities_hold():
    features, group, wrong, _ = made([8] * 150, 0.1, noise=1.2)
    found = score_members(features, group)
    assert found.share == pytest.approx(0.1, abs=0.03)
    assert found.interval[0] < 0.1 < found.interval[1]
    parts = (found.probability * 5).long().clamp(max=4)
    gaps = [(found.probability[parts == p].sum() - wrong[parts == p].sum()).abs() for p in range(5)]
    assert float(sum(gaps)) / len(wrong) < 0.03


def test_members_of_no_group_are_found_and_no_group_is_promised_to_them():
    features, group, _, _ = made([8] * 150, 0, noise=1.2)
    x, random = features["output"].clone(), torch.Generator().manual_seed(1)
    wrong = torch.rand(len(x), generator=random) < 0.08
    x[wrong] = 3 + 1.56 * torch.randn(int(wrong.sum()), x.shape[1], generator=random)  # a group and noise of its own
    found = score_members({"output": x}, group)
    assert found.choice.foreign.expected > 0.5
    assert found.interval[0] < float(wrong.double().mean()) < found.interval[1]
    assert average_precision_score(wrong, -found.score) > 0.9
    assert found.probability[wrong].mean() > 0.7
    assert found.fits_probability[wrong].mean() < 0.3


def test_nothing_is_found_where_nothing_is_wrong():
    features, group, _, _ = made([4] * 150, 0)
    found = score_members(features, group)
    assert found.share < 0.005
    assert not (found.probability > 0.5).any()


def test_the_result_depends_on_the_seed_alone_and_not_on_the_numbers_of_the_groups():
    features, group, _, _ = made([3] * 20 + [10], 0.1)
    found, again, renamed = (score_members(features, each, seed=3) for each in (group, group, 7 * group - 1000))
    assert torch.equal(found.probability, again.probability)
    assert found.choice == again.choice
    assert torch.equal(found.probability, renamed.probability)
    assert torch.equal(7 * found.fits - 1000, renamed.fits)


def test_the_chance_of_the_right_group_holds():
    chances, rights = [], []
    for seed in (0, 1):
        features, group, wrong, home = made([4] * 200, 0.2, seed, noise=1.2)
        found = score_members(features, group, seed)
        chances.append(found.fits_probability[wrong])
        rights.append((found.fits == home)[wrong].float())
    chance, right = torch.cat(chances), torch.cat(rights)
    assert 0.2 < right.mean() < 0.95
    assert chance.mean() == pytest.approx(float(right.mean()), abs=0.08)
    assert right[chance > chance.median()].mean() > right[chance < chance.median()].mean() + 0.1


def test_false_discoveries_are_the_mean_of_the_list_down_to_each():
    probability = torch.tensor([0.2, 0.9, 0.5, 0.9, 0.0], dtype=torch.float64)
    expected = [(0.1 + 0.1 + 0.5 + 0.8) / 4, 0.1, 0.7 / 3, 0.1, 2.5 / 5]
    torch.testing.assert_close(false_discoveries(probability), torch.tensor(expected, dtype=torch.float64))


def test_the_only_member_of_a_group_has_the_estimated_share_as_probability():
    features, group, _, _ = made([4] * 60 + [1], 0.1)
    found = score_members(features, group)
    assert found.probability[-1] == pytest.approx(found.share)
    assert found.score[-1].isnan()
    assert not found.score[:-1].isnan().any()


def test_features_that_say_little_do_not_hide_those_that_say_much():
    features, group, wrong, _ = made([3] * 100, 0.1)
    noise = torch.randn(features["output"].shape, generator=torch.Generator().manual_seed(5))
    found = score_members({"output": noise, "last": features["output"], "before": features["output"] ** 3}, group)
    assert average_precision_score(wrong, -found.score) > 0.8


@pytest.mark.parametrize("members", [2, 8])
def test_identical_members_are_no_outliers(members):
    x = normalize(torch.eye(10), dim=1).repeat_interleave(members, 0)
    found = score_members({"output": x}, torch.arange(10).repeat_interleave(members))
    assert found.probability.isfinite().all()
    assert (found.probability < 0.5).all()


def test_too_few_groups_and_broken_features_are_refused():
    features, group, _, _ = made([3, 3, 1], 0)
    with pytest.raises(UotaError, match=r"groups of two or more members: 2; .* at least 3"):
        score_members(features, group)
    features, group, _, _ = made([3] * 5, 0)
    with pytest.raises(UotaError, match="all members have the same embedding"):
        score_members({"output": torch.ones(15, 4)}, group)
    features["output"][4, 0] = torch.nan
    with pytest.raises(UotaError, match="features output have NaN"):
        score_members(features, group)
