"""The two parts of each group, and their cohesion, against loops and scikit-learn in float64."""

import pytest
import torch
from sklearn.cluster import KMeans
from torch.nn.functional import normalize

from uota.membership import filing
from uota.membership.filing import Filing, blocks
from uota.membership.splits import Others, cohesion, find_splits, two_parts

SIZES = torch.tensor([6, 30, 7, 12])


@pytest.fixture
def members():
    """Groups of two clouds each, in the order of the groups."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(len(SIZES)).repeat_interleave(SIZES)
    cloud = torch.cat([(torch.arange(int(n)) * 3 >= 2 * int(n)).long() for n in SIZES])
    centres = torch.randn(len(SIZES), 2, 10, generator=random, dtype=torch.float64)
    noise = 0.4 * torch.randn(len(group), 10, generator=random, dtype=torch.float64)
    return normalize(centres[group, cloud] + noise, dim=-1), Filing(torch.arange(len(group)), group), cloud


def test_parts_are_those_of_2_means(members):
    z, filed, cloud = members
    weight = torch.ones(len(z), dtype=z.dtype)
    (block,) = blocks(z, weight, filed)
    part = two_parts(block)
    for g in range(len(SIZES)):
        own = filed.group == g
        reference = torch.from_numpy(KMeans(2, n_init=20, random_state=0).fit_predict(z[own].numpy())).bool()
        assert (part[own].bool() == reference).all() or (part[own].bool() != reference).all()
        assert (part[own] == cloud[own]).all() or (part[own] != cloud[own]).all()


@pytest.mark.parametrize("block", [1, 4096])
def test_cohesion_is_that_of_a_loop(members, monkeypatch, block):
    monkeypatch.setattr(filing, "BLOCK", block)
    z, filed, cloud = members
    random = torch.Generator().manual_seed(1)
    weight = 0.5 + 0.5 * torch.rand(len(z), generator=random, dtype=z.dtype)
    others = Others(
        normalize(torch.randn(5, 10, generator=random, dtype=z.dtype), dim=-1), torch.tensor([0, 2, 3, 7, 9])
    )
    own = torch.tensor([[0, 2], [1, 1], [2, 3], [9, 9]])
    found, part = cohesion(z, weight, filed, others, own)
    assert torch.equal(part, cloud)  # the smaller cloud is part 1
    for g in range(len(SIZES)):
        parts = [(filed.group == g) & (cloud == c) for c in (0, 1)]
        centres = torch.stack([normalize((weight[p, None] * z[p]).sum(0), dim=0) for p in parts])
        allowed = torch.tensor([int(n) not in own[g].tolist() for n in others.number])
        best = (centres @ others.centres[allowed].T).max(1).values
        torch.testing.assert_close(found[g], centres[0] @ centres[1] - best.mean())


def test_a_single_different_member_is_no_part(members):
    z, _, _ = members
    z = torch.cat([z[:1] + 0.01 * torch.eye(10, dtype=z.dtype)[:5], -z[:1]])
    others = Others(z[:1], torch.tensor([3]))
    filed = Filing(torch.arange(6), torch.zeros(6, dtype=torch.long))
    found, part = cohesion(normalize(z, dim=-1), torch.ones(6, dtype=z.dtype), filed, others, torch.tensor([[0]]))
    assert found.isinf().all()
    assert not part.any()


def test_identical_vectors_are_one_part(members):
    z, filed, _ = members
    z = z[SIZES.cumsum(0) - 1][filed.group]
    (block,) = blocks(z, torch.ones(len(z), dtype=z.dtype), filed)
    assert not two_parts(block).any()


def test_a_single_group_of_four_is_not_judged(members):
    z, _, _ = members
    group = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    found = find_splits(z[:8], torch.zeros(8), Filing(torch.arange(8), group), seed=0)
    assert not found.probability.any()
    assert not found.part.any()
