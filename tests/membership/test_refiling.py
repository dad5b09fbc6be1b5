"""Re-filing of members of made-up groups, whose right groups are known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import refiling
from uota.membership.members import score_members
from uota.membership.refiling import keep_one, refile, together

GROUPS, SIZE, WRONG = 150, 6, 90


def made(noise, seed=0):
    """Return the features of groups of six members, where they are filed, and where they belong; some are misfiled."""
    random = torch.Generator().manual_seed(seed)
    belongs = torch.arange(GROUPS).repeat_interleave(SIZE)
    centres = normalize(torch.randn(GROUPS, 16, generator=random), dim=1)
    z = centres[belongs] + noise * torch.randn(len(belongs), 16, generator=random) / 4
    chosen = torch.randperm(len(belongs), generator=random)[:WRONG]
    return {"output": z}, belongs.scatter(0, chosen, belongs[chosen.roll(1)]), belongs


def everything(group):
    return torch.ones(len(group), dtype=torch.bool)


def test_misfiled_members_are_moved_to_where_they_belong():
    features, given, belongs = made(noise=0.5)
    found = refile(given, features, everything(given), 0)
    wrong = given != belongs
    assert bool((found.group == belongs)[wrong].double().mean() > 0.9)
    assert bool((found.group == belongs)[~wrong].double().mean() > 0.99)
    assert torch.equal(found.moved, found.group != given)
    assert abs(found.share - float(wrong.double().mean())) < 0.05
    assert bool(found.probability[wrong].min() > found.probability[~wrong].median())


def test_members_that_are_told_wrong_and_whose_group_is_not_told_are_left_out(monkeypatch):
    features, given, belongs = made(noise=0.5)
    wrong = given != belongs

    def with_doubt(*arguments):
        found = score_members(*arguments)
        return replace(found, fits_probability=torch.full_like(found.fits_probability, 0.49))

    monkeypatch.setattr(refiling, "score_members", with_doubt)
    found = refile(given, features, everything(given), 0)
    assert int(found.dropped[wrong].sum()) > 0.7 * int(wrong.sum())
    assert int(found.dropped.sum()) < int(wrong.sum()) + 5
    assert not found.moved.any()


def test_members_are_moved_if_they_more_probably_belong_there_than_not(monkeypatch):
    features, given, belongs = made(noise=0.5)
    found = score_members(features, given, 0)
    known = torch.nonzero((given != belongs) & (found.probability > 0.9))[:3, 0]
    probability, sure = torch.full_like(found.probability, 0.1), torch.full_like(found.probability, 0.9)
    probability[known] = sure[known] = torch.tensor([0.8, 0.7, 0.6])
    judged = replace(found, probability=probability, fits_probability=sure)
    monkeypatch.setattr(refiling, "score_members", lambda *_: judged)
    refiled = refile(given, features, everything(given), 0)
    assert refiled.moved.nonzero()[:, 0].tolist() == [int(known[0])]  # 0.64, and not 0.49 and 0.36
    assert refiled.dropped.nonzero()[:, 0].tolist() == known[1:].tolist()


def test_files_that_are_not_known_or_in_no_group_stay():
    features, given, belongs = made(noise=0.5)
    wrong = torch.nonzero(given != belongs)[:, 0]
    known = everything(given)
    known[wrong[0]] = False
    given[wrong[1]] = -1
    found = refile(given, features, known, 0)
    assert found.group[wrong[0]] == given[wrong[0]]
    assert found.group[wrong[1]] == -1
    assert found.probability[wrong[:2]].isnan().all()
    assert found.fits[wrong[:2]].tolist() == [-1, -1]
    assert not found.moved[wrong[:2]].any()
    assert not found.dropped[wrong[:2]].any()


def test_numbers_of_groups_and_the_same_seed_play_no_part():
    features, given, _ = made(noise=1.0)
    found, again = (refile(given, features, everything(given), 3) for _ in range(2))
    assert torch.equal(found.group, again.group)
    renamed = refile(2 * given + 7, features, everything(given), 3)
    assert torch.equal(renamed.group, torch.where(found.group < 0, -1, 2 * found.group + 7))


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]),
        ([0, 0, -1, -1, 2, 2], [0, 0, 1, -1, 2, 2]),  # the member that is less probably wrong
        ([0, 0, -1, 2, 2, 2], [0, 0, 1, 2, 2, 2]),  # rather than one that is in another group
        ([0, 0, 0, 2, 2, 2], [0, 0, 1, 2, 2, 2]),
        ([1, 1, 0, 0, 2, 2], [1, 1, 0, 0, 2, 2]),
        ([1, -1, -1, -1, -1, -1], [1, 0, -1, -1, 2, -1]),
        ([1, 1, 2, 2, -1, 1], [0, 1, 2, 2, -1, 1]),
        ([-1, -1, 0, -1, 2, 2], [-1, -1, 0, 1, 2, 2]),
        ([1, 1, 2, 2, 2, 2], [0, 1, 2, 2, 2, 2]),
        ([1, -1, 2, 2, 2, 2], [1, 0, 2, 2, 2, 2]),
    ],
)
def test_every_group_keeps_a_member(group, expected):
    given = torch.tensor([0, 0, 1, 1, 2, 2])
    probability = torch.tensor([0.6, 0.7, 0.8, 0.9, 0.55, 0.95])
    kept = keep_one(torch.tensor(group), given, probability)
    assert kept.tolist() == expected
    assert len(kept[kept >= 0].unique()) == 3


def test_a_member_is_returned_to_a_group_that_its_return_leaves_empty():
    # Group 1 holds only a member of group 0, which is returned there; then group 1 gets one of its own again.
    kept = keep_one(torch.tensor([1, 2, 2, -1]), torch.tensor([0, 1, 1, 2]), torch.tensor([0.9, 0.8, 0.7, 0.6]))
    assert kept.tolist() == [0, 2, 1, -1]


def test_features_of_two_encoders_stand_side_by_side_with_equal_weight():
    random = torch.Generator().manual_seed(0)
    one = {"output": 5 * torch.randn(30, 4, generator=random) + 3, "last": torch.randn(30, 3, generator=random)}
    other = {"output": torch.randn(30, 7, generator=random), "thumbnails": torch.randn(30, 2, generator=random)}
    found = together(one, other)
    assert found.keys() == {"output"}
    centred = [(each["output"] - each["output"].mean(0)).double() for each in (one, other)]
    cosines = [each @ each.T / each.norm(dim=1)[:, None] / each.norm(dim=1) for each in centred]
    torch.testing.assert_close((found["output"] @ found["output"].T).double(), sum(cosines), atol=1e-5, rtol=1e-5)
