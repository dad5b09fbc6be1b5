"""Vectors are whitened within groups."""

import numpy as np
import torch
from torch.nn.functional import normalize

from uota.membership import metric
from uota.membership.grouped import Grouped
from uota.membership.metric import PLAIN, SPHERICAL, WHITENED, by_metrics, covariance_within, whiten
from uota.membership.scores import SCORES


def made(groups=60, size=4, dim=10, loud=3.0, dtype=torch.float64):
    """Members that differ within their groups in the first three dimensions most."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    noise = torch.randn(len(group), dim, generator=random, dtype=dtype)
    noise[:, :3] *= loud
    x = torch.randn(groups, dim, generator=random, dtype=dtype)[group] + 0.5 * noise
    return Grouped(normalize(x, dim=1), group, groups)


def test_the_covariance_is_that_of_a_naive_loop():
    members = made(groups=9)
    total = np.zeros((10, 10))
    z, weight = members.z.numpy(), members.weight.numpy()
    for i, own in enumerate(members.group):
        others = [j for j in range(len(z)) if j != i and members.group[j] == own]
        apart = z[i] - sum(weight[j] * z[j] for j in others) / sum(weight[j] for j in others)
        total += weight[i] * np.outer(apart, apart)
    expected = (1 - SPHERICAL) * total / (np.trace(total) / 10) + SPHERICAL * np.eye(10)
    torch.testing.assert_close(covariance_within(members), torch.from_numpy(expected))


def test_whitened_vectors_have_the_products_of_the_inverse_covariance():
    members = made()
    white = whiten(members)
    x = (members.z - members.z.mean(0)).numpy()
    products = torch.from_numpy(x @ np.linalg.inv(covariance_within(members).numpy()) @ x.T)
    lengths = products.diagonal().sqrt()
    torch.testing.assert_close(white @ white.T, products / lengths / lengths[:, None])


def test_what_varies_within_groups_counts_less(monkeypatch):
    members = made()
    own = by_metrics(members.z, members.group, members.groups, 0)
    margin = {name: float(SCORES["margin to nearest"](each).mean()) for name, each in own.items()}
    assert margin[WHITENED] > margin[PLAIN] + 0.05
    monkeypatch.setattr(metric, "ROWS", 7)
    torch.testing.assert_close(whiten(members), own[WHITENED].z)


def test_known_products_change_nothing():
    members = made()
    without = by_metrics(members.z, members.group, members.groups, 0)
    known = by_metrics(members.z, members.group, members.groups, 0, members.z @ members.z.T)
    for name in without:
        torch.testing.assert_close(known[name].neighbours[0.1], without[name].neighbours[0.1])


def test_members_that_are_the_same_and_single_members_leave_the_metric_as_it_is():
    same = Grouped(torch.eye(4).repeat_interleave(3, 0), torch.arange(4).repeat_interleave(3), 4)
    alone = Grouped(torch.eye(4), torch.arange(4), 4)
    for members in (same, alone):
        assert torch.equal(covariance_within(members), torch.eye(4))
