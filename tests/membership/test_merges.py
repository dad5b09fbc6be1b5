"""Similarity of groups, corrected for what their sizes hide, against loops in float64."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership.filing import Filing, totals
from uota.membership.merges import (
    corrected_centres,
    distinctness,
    find_merges,
    next_similar,
    pooled_agreement,
)
from uota.membership.similar import Similar, most_similar

SIZES = torch.tensor([1, 5, 2, 9, 4])


@pytest.fixture
def members():
    random = torch.Generator().manual_seed(0)
    group = torch.arange(len(SIZES)).repeat_interleave(SIZES)
    z = torch.randn(len(SIZES), 8, generator=random, dtype=torch.float64)[group]
    z = normalize(z + 0.5 * torch.randn(z.shape, generator=random, dtype=torch.float64), dim=-1)
    return z, Filing(torch.arange(len(group)), group)


def agreement(z):
    """Mean cosine of pairs of different members."""
    pairs = [float(z[i] @ z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
    return sum(pairs) / len(pairs) if pairs else 0.0


def test_centres_are_corrected_for_attenuation(members):
    z, filed = members
    sums = totals(z, torch.ones(len(z), dtype=z.dtype), filed)
    own = [agreement(z[filed.group == g]) for g in range(len(SIZES))]
    pooled = sum((n - 1 + (n > 1)) * a for n, a in zip(SIZES.tolist(), own, strict=True)) / 20
    assert pooled_agreement(sums) == pytest.approx(pooled)
    found = corrected_centres(sums, pooled)
    for g, n in enumerate(SIZES.tolist()):
        a = ((n - 1) * own[g] + 5 * pooled) / (n - 1 + 5)
        known = math.sqrt(n * a / (1 + (n - 1) * a))
        torch.testing.assert_close(found[g], normalize(z[filed.group == g].sum(0), dim=0) / known)


def test_correction_takes_the_size_out_of_the_similarity_of_groups():
    random = torch.Generator().manual_seed(0)
    things = torch.randn(1, 64, generator=random).expand(2, -1) + 0.7 * torch.randn(300, 2, 64, generator=random)
    means = {}
    for n in (2, 4, 50):
        group = torch.arange(600).repeat_interleave(n)
        z = normalize(things.flatten(0, 1)[group] + torch.randn(600 * n, 64, generator=random), dim=-1)
        sums = totals(z, torch.ones(len(z)), Filing(torch.arange(len(z)), group))
        centres = corrected_centres(sums, pooled_agreement(sums)).unflatten(0, (-1, 2))
        plain = sums.centres.unflatten(0, (-1, 2))
        means[n] = [float(c.prod(1).sum(-1).mean()) for c in (centres, plain)]
    assert means[2][0] == pytest.approx(means[50][0], abs=0.02)
    assert means[2][1] < means[50][1] - 0.1


def test_a_group_without_others_has_no_twin(members):
    z, _ = members
    alone = most_similar(z[:1], z[:1], torch.tensor([0]))
    assert alone.number.tolist() == [[-1, -1]]
    assert alone.similarity.tolist() == [[0, 0]]
    found = find_merges(z[:3], torch.zeros(3), Filing(torch.arange(3), torch.zeros(3, dtype=torch.long)), seed=0)
    assert (found.twin.tolist(), found.probability.tolist()) == ([-1], [0])


def test_distinctness_counts_the_next_groups_of_both():
    similar = Similar(torch.tensor([[0.9, 0.2], [0.9, 0.4], [0.5, 0.4]]), torch.tensor([[1, 2], [0, 2], [1, 0]]))
    back = next_similar(similar, similar.number[:, 0], torch.arange(3))
    assert torch.equal(back, torch.tensor([0.4, 0.2, 0.9]))
    torch.testing.assert_close(distinctness(similar, back), torch.tensor([-0.75, -0.75, -0.175]))
