"""Scores and centres of groups of any sizes, against naive loops in float64."""

import math

import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import normalize

from uota.membership import grouped
from uota.membership.grouped import DOUBT, Grouped
from uota.membership.scores import LEAST_SHARE, SCORES

SIZES = (2, 5, 3, 9, 2, 7, 1)


@pytest.fixture
def members():
    random = torch.Generator().manual_seed(0)
    group = torch.arange(len(SIZES)).repeat_interleave(torch.tensor(SIZES))
    group = group[torch.randperm(len(group), generator=random)]
    z = torch.randn(len(SIZES), 12, generator=random, dtype=torch.float64)[group]
    z = normalize(z + torch.randn(z.shape, generator=random, dtype=torch.float64), dim=-1)
    return Grouped(z, group, len(SIZES))


def unit(x):
    return x / x.norm() if x.norm() else x


def others_of(members, i):
    return [j for j in range(len(members.z)) if j != i and members.group[j] == members.group[i]]


def weight(members, j):
    rest = members.z[others_of(members, j)].sum(0)
    return math.exp(DOUBT * (float(members.z[j] @ unit(rest)) - 1))


def centre(members, chosen):
    total = torch.zeros(members.z.shape[1], dtype=torch.float64)
    for j in chosen:
        total = total + weight(members, j) * members.z[j]
    return unit(total)


def of_group(members, g):
    return [j for j in range(len(members.z)) if members.group[j] == g]


def cosines(members, i):
    """Cosines to the centre of a member's others, and to the centres of all other groups."""
    own = float(members.z[i] @ centre(members, others_of(members, i)))
    others = [g for g in range(members.groups) if g != members.group[i]]
    return own, torch.stack([members.z[i] @ centre(members, of_group(members, g)) for g in others])


def margin(members, i):
    return cosines(members, i)[0] - float((members.z @ members.z[i]).mean())


def contrast(members, i, temperature):
    own, rest = cosines(members, i)
    return own - temperature * math.log(float((rest / temperature).exp().mean()))


def cohort(members, i):
    own, rest = cosines(members, i)
    strangers = members.z[members.group != members.group[i]] @ centre(members, of_group(members, members.group[i]))
    by_member = (own - rest.mean()) / rest.std(correction=0)
    return float(by_member + (own - strangers.mean()) / strangers.std(correction=0)) / 2


def nearest(members, i):
    own = [float(members.z[j] @ members.z[i]) for j in others_of(members, i)]
    return max(own, default=-1) - float((members.z @ members.z[i]).mean())


def neighbours(members, i, temperature):
    others = members.z[members.group != members.group[i]] @ members.z[i]
    own = members.z[others_of(members, i)] @ members.z[i]
    soft = [temperature * math.log(float((each / temperature).exp().mean())) for each in (own, others) if len(each)]
    return soft[0] - soft[1] if len(soft) == 2 else -1 - soft[0]


def plain(members, i):
    return float(members.z[i] @ unit(members.z[others_of(members, i)].sum(0)))


def to_nearest(members, i):
    own, rest = cosines(members, i)
    return own - float(rest.max())


def rank(members, i):
    own, rest = cosines(members, i)
    return -math.log(float((rest > own).double().mean()) + LEAST_SHARE)


def partners(members, i):
    own = [float(members.z[j] @ members.z[i]) for j in others_of(members, i)]
    return sum(own) / len(own) if own else -1


REFERENCES = {
    "centre": plain,
    "margin": margin,
    "margin to nearest": to_nearest,
    "rank": rank,
    "partners": partners,
    "contrast 0.05": lambda members, i: contrast(members, i, 0.05),
    "cohort": cohort,
    "contrast 0.1": lambda members, i: contrast(members, i, 0.1),
    "contrast 0.3": lambda members, i: contrast(members, i, 0.3),
    "nearest": nearest,
    "neighbours 0.05": lambda members, i: neighbours(members, i, 0.05),
    "neighbours 0.1": lambda members, i: neighbours(members, i, 0.1),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_those_of_a_naive_loop(members, name):
    expected = torch.tensor([REFERENCES[name](members, i) for i in range(len(members.z))], dtype=torch.float64)
    torch.testing.assert_close(SCORES[name](members), expected, atol=1e-9, rtol=1e-9)


def test_nearest_members_are_those_of_scikit_learn(members):
    for g in range(members.groups - 1):
        own = members.z[members.group == g]
        distance = NearestNeighbors(n_neighbors=1, metric="cosine").fit(own.numpy()).kneighbors()[0][:, 0]
        torch.testing.assert_close(
            members.to_partners[members.group == g].max(1).values, torch.from_numpy(1 - distance), atol=1e-9, rtol=0
        )


def test_distances_to_plain_centres_are_those_of_scikit_learn(members, monkeypatch):
    monkeypatch.setattr(grouped, "DOUBT", 0.0)
    centres = torch.stack([members.z[members.group == g].sum(0) for g in range(members.groups)])
    expected = 1 - pairwise_distances(members.z.numpy(), centres.numpy(), metric="cosine")
    torch.testing.assert_close(members.z @ members.centres.T, torch.from_numpy(expected), atol=1e-9, rtol=0)


def test_partners_are_different_members_of_the_same_group_and_bounded(members, monkeypatch):
    monkeypatch.setattr(grouped, "PARTNERS", 4)
    cosine = members.z @ members.z.T
    assert members.to_partners.shape[1] == 4
    for i, found in enumerate(members.to_partners):
        partners = others_of(members, i)
        known = found[found > -1]
        assert len(known) == min(4, len(partners))
        assert torch.isin((known * 1e9).round(), (cosine[i][partners] * 1e9).round()).all()
        assert len(known.unique()) == len(known)


@pytest.mark.parametrize("name", SCORES)
def test_some_members_have_the_scores_that_they_have_among_all(members, name, monkeypatch):
    monkeypatch.setattr(grouped, "PARTNERS", 3)
    chosen = torch.tensor([20, 3, 4])
    some = Grouped(members.z, members.group, members.groups, chosen=chosen)
    torch.testing.assert_close(SCORES[name](some), SCORES[name](members)[chosen])


def test_chunks_and_samples_change_nothing_while_they_hold_everything(members, monkeypatch):
    expected = members.crowd
    monkeypatch.setattr(grouped, "FEW", 7)
    chunked = Grouped(members.z, members.group, members.groups, seed=5).crowd
    torch.testing.assert_close(chunked.mean, expected.mean)
    torch.testing.assert_close(chunked.soft_maximum[0.1], expected.soft_maximum[0.1])
