"""Groups that are two things, and groups that are one thing twice, are found; and nothing where nothing is wrong."""

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import normalize

from uota.membership.groups import judge_groups


def made(sizes, dim=64, noise=0.8, seed=0):
    """Unit vectors around a direction for each group."""
    random = torch.Generator().manual_seed(seed)
    group = torch.arange(len(sizes)).repeat_interleave(torch.as_tensor(sizes))
    x = torch.randn(len(sizes), dim, generator=random)[group]
    return normalize(x + noise * torch.randn(x.shape, generator=random), dim=-1), group


SIZES = [2] * 40 + [3] * 40 + [4] * 40 + [6] * 60 + [12] * 30 + [80] * 10 + [1] * 5


@pytest.fixture(scope="module")
def clean():
    return made(SIZES)


def numbered(group):
    return group.unique(return_inverse=True)[1]


def test_nothing_is_found_where_nothing_is_wrong(clean):
    z, group = clean
    found = judge_groups(z, group, torch.zeros(len(z)))
    assert found.size.tolist() == SIZES
    assert found.split.max() < 0.2
    assert found.merge.max() < 0.2
    assert (found.twin != torch.arange(len(SIZES))).all()


def test_groups_of_two_things_are_found_with_their_parts(clean):
    z, group = clean
    mixed = group.clone()
    things = torch.arange(120, 180, 6)  # ten pairs of groups of six, each made one group of twelve
    for thing in things.tolist():
        mixed[group == thing + 1] = thing
    number = numbered(mixed)
    truth = torch.zeros(int(number.max()) + 1, dtype=torch.bool)
    truth[number[torch.isin(group, things)]] = True
    found = judge_groups(z, number, torch.zeros(len(z)))
    assert roc_auc_score(truth, found.split) > 0.99
    assert found.split[truth].min() > 0.8
    assert found.split[~truth].mean() < 0.01
    for thing in things.tolist():
        first, second = (found.part[group == g].unique() for g in (thing, thing + 1))
        assert {*first.tolist(), *second.tolist()} == {0, 1}
        assert len(first) == len(second) == 1


def test_the_smaller_part_is_found_among_members_that_look_like_outliers(clean):
    z, group = clean
    mixed, probability = group.clone(), torch.zeros(len(z))
    for thing in range(180, 190):
        few = torch.nonzero(group == thing + 10)[:4, 0]
        mixed[few] = thing
        probability[few] = 0.9
    found = judge_groups(z, mixed, probability)
    assert found.split[180:190].min() > 0.8
    assert torch.equal(found.part[probability > 0], torch.ones(40, dtype=torch.long))


def test_a_misfiled_member_is_no_split(clean):
    z, group = clean
    moved = group.clone()
    first = torch.nonzero(group.diff(prepend=torch.tensor([-1])))[:, 0]
    moved[first[120:150]] = torch.arange(150, 180)
    found = judge_groups(z, moved, (moved != group).float())
    assert found.split.max() < 0.2


def test_groups_of_the_same_thing_are_found_with_their_twins(clean):
    z, group = clean
    cut = group.clone()
    things = torch.arange(120, 220, 5)
    for place, thing in enumerate(things.tolist()):
        cut[torch.nonzero(group == thing)[::2, 0]] = len(SIZES) + place
    truth = torch.zeros(int(cut.max()) + 1, dtype=torch.bool)
    truth[things] = truth[len(SIZES) :] = True
    found = judge_groups(z, cut, torch.zeros(len(z)))
    assert roc_auc_score(truth, found.merge) > 0.99
    assert found.merge[truth].min() > 0.7
    assert found.merge[~truth].mean() < 0.02
    assert torch.equal(found.twin[things], torch.arange(len(SIZES), len(truth)))
    assert torch.equal(found.twin[len(SIZES) :], things)


def test_outliers_do_not_hide_a_twin(clean):
    z, group = clean
    cut = group.clone()
    cut[torch.nonzero(group == 200)[::2, 0]] = len(SIZES)
    wrong = torch.nonzero(group == 219)[:40, 0]
    cut[wrong] = 200
    found = judge_groups(z, cut, torch.isin(torch.arange(len(z)), wrong).float())
    assert found.twin[200] == len(SIZES)


def test_neither_the_order_of_members_nor_the_numbers_of_groups_matter():
    z, group = made([3] * 20 + [5] * 20 + [9] * 10, noise=1.5)
    random = torch.Generator().manual_seed(0)
    probability = torch.rand(len(z), generator=random)
    order, number = torch.randperm(len(z), generator=random), torch.randperm(50, generator=random)
    found, again = judge_groups(z, group, probability), judge_groups(z[order], number[group[order]], probability[order])
    assert torch.equal(again.size[number], found.size)
    assert torch.equal(again.part, found.part[order])
    assert torch.equal(again.twin[number], number[found.twin])
    torch.testing.assert_close(again.split[number], found.split)
    torch.testing.assert_close(again.merge[number], found.merge)


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1], [3], [2, 2], [1, 2, 3], [4, 4], [1, 2, 3, 4, 5]])
def test_small_groups_and_few_of_them_are_judged(sizes):
    z, group = made(sizes)
    found = judge_groups(z, group, torch.zeros(len(z)))
    assert not found.split[found.size < 4].any()
    assert not found.part[(found.size < 4)[group]].any()
    for probability in (found.split, found.merge):
        assert ((probability >= 0) & (probability <= 1)).all()
    others = torch.arange(len(sizes)) if len(sizes) > 1 else torch.tensor([0])
    assert (found.twin != others).all()


def test_identical_vectors_are_never_split_and_judged_without_nan():
    z = normalize(torch.eye(3), dim=-1)[torch.arange(3).repeat_interleave(8)]
    group = torch.arange(6).repeat_interleave(4)
    found = judge_groups(z, group, torch.ones(24))
    assert not found.split.isnan().any()
    assert not found.part.any()
    assert not found.merge.isnan().any()
    assert found.twin.tolist() == [1, 0, 3, 2, 5, 4]
    assert not judge_groups(torch.zeros(24, 3), group, torch.zeros(24)).merge.isnan().any()
