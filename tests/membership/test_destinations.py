"""The group that a member fits best, and how probably it is the right one."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import normalize

from uota.membership import destinations, similar
from uota.membership.destinations import (
    CENTRES,
    EXACT_MEMBERS,
    NEIGHBOURS,
    ByCentres,
    ByNeighbours,
    Candidates,
    Neighbours,
    first_occurrences,
    fit_logit,
    join,
)
from uota.membership.metric import PLAIN, WHITENED, by_metrics


def made(groups=50, size=4, dim=12, noise=0.5):
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    x = torch.randn(groups, dim, generator=random)[group] + noise * torch.randn(len(group), dim, generator=random)
    return by_metrics(normalize(x, dim=1), group, groups, 0)


def test_the_most_similar_of_other_groups_are_those_of_a_naive_loop(monkeypatch):
    members = made()[PLAIN]
    monkeypatch.setattr(destinations, "HELD", 1400)
    rows = torch.tensor([3, 150, 0, 77, 199, 12, 41, 9])
    found = Neighbours(members.z, members.group, EXACT_MEMBERS)(members.z[rows], members.group[rows], 5)
    for row, near in zip(rows, found, strict=True):
        others = torch.nonzero(members.group != members.group[row])[:, 0]
        expected = others[(members.z[others] @ members.z[row]).argsort(descending=True)[:5]]
        assert torch.equal(near, expected)


def finder(members):
    return ByNeighbours(members, ByCentres(members))


def test_first_occurrences_are_those_of_python():
    numbers = torch.tensor([[3, 1, 3, 3, 2], [5, 5, 5, 5, 5], [1, 2, 3, 4, 1]])
    expected = [[value not in row[:place] for place, value in enumerate(row)] for row in numbers.tolist()]
    assert first_occurrences(numbers).tolist() == expected


def test_candidates_are_other_groups_near_in_one_way_or_the_other():
    members = made()
    rows = torch.arange(0, 200, 9)
    found = finder(members)(rows)
    white = members[WHITENED]
    assert found.group.shape == (len(rows), CENTRES + NEIGHBOURS)
    for place, row in enumerate(rows):
        others = white.group != white.group[row]
        near = white.group[others][(white.z[others] @ white.z[row]).argsort(descending=True)[:NEIGHBOURS]]
        to_centres = (white.centres @ white.z[row]).index_fill(0, white.group[row], -1)
        expected = {*near.tolist(), *to_centres.argsort(descending=True)[:CENTRES].tolist()}
        differing = found.group[place][found.differs[place]].tolist()
        assert sorted(differing) == sorted(expected)


def test_similarities_are_those_of_a_naive_loop():
    members = made()
    found = finder(members)(torch.tensor([5]))
    white, plain = members[WHITENED], members[PLAIN]
    near = Neighbours(white.z, white.group, EXACT_MEMBERS)(white.z[5:6], white.group[5:6], NEIGHBOURS)[0]
    mean, deviation = white.strangers
    for group, ways in zip(found.group[0].tolist(), found.similarity[0].tolist(), strict=True):
        expected = [each.centres[group] @ each.z[5] for each in (white, plain)]
        expected.append((expected[0] - mean[group]) / deviation[group])
        for each in (white, plain):
            to_near = each.z[near] @ each.z[5]
            of_group = to_near[white.group[near] == group]
            floor = to_near.min()
            soft = ((of_group - 1) / 0.05).exp().sum() + ((floor - 1) / 0.05).exp()
            expected += [max([*of_group, floor]), soft.log()]
        assert ways == pytest.approx([float(each) for each in expected], abs=1e-4)


def test_candidates_by_centres_are_the_first_of_those_by_neighbours():
    members, rows = made(), torch.arange(0, 200, 7)
    few, many = ByCentres(members)(rows), finder(members)(rows)
    assert torch.equal(few.group, many.group[:, :CENTRES])
    torch.testing.assert_close(few.similarity, many.similarity[:, :CENTRES, :3])


def test_of_two_groups_the_weights_are_those_of_a_logistic_regression(monkeypatch):
    monkeypatch.setattr(destinations, "PULL", 1e-3)
    random = torch.Generator().manual_seed(0)
    similarity = torch.randn(500, 2, 3, generator=random)
    first = (similarity @ torch.tensor([1.5, -1.0, 0.0])).diff(dim=1)[:, 0] < 0
    noisy = first ^ (torch.rand(500, generator=random) < 0.2)
    group = torch.tensor([[0, 1]]).expand(500, -1)
    logit = fit_logit(Candidates(group, torch.ones(500, 2, dtype=torch.bool), similarity), (~noisy).long())
    apart = ((similarity[:, 0] - similarity[:, 1]) / logit.deviation).numpy()
    expected = LogisticRegression(C=1e3, fit_intercept=False, tol=1e-8, max_iter=1000).fit(apart, noisy).coef_[0]
    torch.testing.assert_close(logit.weight.double(), torch.from_numpy(expected).double(), atol=0.01, rtol=0.01)


def test_the_probability_of_the_best_group_holds():
    members = made(groups=300, noise=0.9)
    every = finder(members)(torch.arange(1200))
    random = torch.Generator().manual_seed(0)
    chance = (8 * every.similarity[..., 0]).masked_fill(~every.differs, -torch.inf).softmax(1)
    home = every.group.gather(1, chance.multinomial(1, generator=random))[:, 0]
    home[torch.rand(1200, generator=random) < 0.2] = 300  # which is no candidate
    fitted = fit_logit(every, home)
    assert fitted.recall == pytest.approx(0.8, abs=0.04)
    found, probability = fitted(every)
    assert float(probability.mean()) == pytest.approx(float((found == home).double().mean()), abs=0.05)
    assert (found != members[PLAIN].group).all()


def test_parts_are_joined_in_order():
    members = made()
    whole = finder(members)(torch.arange(20))
    parts = join([finder(members)(rows) for rows in torch.arange(20).split(7)])
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_an_index_among_many_finds_most_of_the_same(monkeypatch):
    pytest.importorskip("faiss")
    members = made(200, 5, dim=48)[PLAIN]
    every = Neighbours(members.z, members.group, EXACT_MEMBERS)(members.z, members.group, NEIGHBOURS)
    monkeypatch.setattr(similar, "CELL", 100)
    found = Neighbours(members.z, members.group, 100)(members.z, members.group, NEIGHBOURS)
    assert found.shape == every.shape
    assert (members.group[found] != members.group[:, None]).all()
    assert (found[:, :, None] == every[:, None, :3]).any(1).double().mean() > 0.75
