"""Members in the order of their groups, in blocks, and groups that are cut in two."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import filing
from uota.membership.filing import Filing, blocks, file_members, halve, some_groups, totals

SIZES = torch.tensor([1, 5, 2, 9, 4, 12])


@pytest.fixture
def members():
    random = torch.Generator().manual_seed(0)
    group = torch.arange(len(SIZES)).repeat_interleave(SIZES)[torch.randperm(int(SIZES.sum()), generator=random)]
    z = normalize(torch.randn(len(group), 6, generator=random, dtype=torch.float64), dim=-1)
    return z, group, torch.rand(len(group), generator=random, dtype=torch.float64)


def test_groups_keep_their_members(members):
    z, group, _ = members
    filed = file_members(z, group, seed=0)
    assert (filed.group.diff() >= 0).all()
    found = {frozenset(filed.members[filed.group == g].tolist()) for g in range(len(SIZES))}
    assert found == {frozenset(torch.nonzero(group == g)[:, 0].tolist()) for g in range(len(SIZES))}


def test_the_order_depends_on_the_vectors_alone(members):
    z, group, _ = members
    filed = file_members(z, group, seed=0)
    order, number = torch.randperm(len(group)), torch.randperm(len(SIZES))
    again = file_members(z[order], number[group[order]], seed=0)
    assert torch.equal(z[order][again.members], z[filed.members])
    assert torch.equal(again.group, filed.group)


@pytest.mark.parametrize("size", [1, 6, 1000])
def test_blocks_are_whole_groups_and_totals_those_of_a_loop(members, monkeypatch, size):
    monkeypatch.setattr(filing, "BLOCK", size)
    z, group, weight = members
    filed = file_members(z, group, seed=0)
    found = list(blocks(z, weight, filed))
    assert sum(block.count for block in found) == len(SIZES)
    assert all(block.group[0] == 0 and block.group[-1] == block.count - 1 for block in found)
    assert all(len(block.z) <= size or block.count <= size for block in found)
    of_all = totals(z, weight, filed)
    for g in range(len(SIZES)):
        own = filed.members[filed.group == g]
        torch.testing.assert_close(of_all.vector[g], (weight[own, None] * z[own]).sum(0))
        torch.testing.assert_close(of_all.weight[g], weight[own].sum())
        torch.testing.assert_close(of_all.squares[g], weight[own].square().sum())


@pytest.mark.parametrize("least", [1, 2])
def test_the_smaller_part_is_a_quarter_to_a_half_of_its_group(least):
    sizes = torch.tensor([2, 3, 4, 5, 8, 40, 200]) * least
    group = torch.arange(len(sizes)).repeat_interleave(sizes)
    filed = Filing(torch.arange(len(group)), group)
    halves = [halve(filed, least, seed) for seed in range(50)]
    smaller = torch.stack([_count(half, group) for half in halves])
    assert (smaller >= least).all()
    assert (sizes - smaller >= smaller).all()
    assert (smaller[:, -2:] >= sizes[-2:] // 4).all()
    assert len(smaller[:, -1].unique()) > 10
    assert not torch.equal(halves[0], halves[1])
    assert torch.equal(halves[0], halve(filed, least, 0))


def _count(half, group):
    return group[half == 1].bincount(minlength=int(group.max()) + 1)


def test_some_groups_are_numbered_by_their_places(members):
    z, group, _ = members
    filed = file_members(z, group, seed=0)
    chosen = some_groups(filed, torch.tensor([4, 1]))
    for place, g in enumerate((4, 1)):
        assert torch.equal(chosen.members[chosen.group == place], filed.members[filed.group == g])
    assert len(chosen.sizes) == 2
