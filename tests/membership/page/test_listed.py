"""Which members the page lists, and what it shows beside them."""

import numpy as np
import torch
from tests.membership.made import made

from uota.membership.page import listed
from uota.membership.page.groups import describe_groups
from uota.membership.page.listed import list_members, typical_members


def test_typical_members_are_those_that_belong_most_probably():
    assert typical_members(made(), np.array([0, 1, 2]), 5) == {0: [0, 1], 1: [2], 2: [3]}
    assert typical_members(made(), np.array([0]), 1) == {0: [0]}


def test_members_are_listed_with_the_nearest_and_typical_ones_of_both_groups():
    found = list_members(made())
    assert found.rows == [1, 2, 0, 3]
    assert found.wanted[0] == [1, 0, 2, 0, 1, 2]
    assert found.wanted[1] == [2, 0, 2, 0, 1]  # the only member of its group
    assert (found.members, found.groups) == ({0, 1, 2, 3}, {0, 1, 2})


def test_improbable_members_are_listed_only_if_there_are_few_others(monkeypatch):
    monkeypatch.setattr(listed, "FEWEST", 1)
    assert list_members(made()).rows == [1, 2, 0, 3]
    monkeypatch.setattr(listed, "LEAST", 0.3)
    assert list_members(made()).rows == [1, 2]
    monkeypatch.setattr(listed, "MOST", 1)
    assert list_members(made()).rows == [1]


def test_the_list_ends_where_its_names_fill_the_room(monkeypatch):
    found = made()
    object.__setattr__(found, "ids", ["a" * 100] * 4)
    monkeypatch.setattr(listed, "CHARACTERS", 320)
    assert list_members(found).rows == [1, 2]  # beside the third row is the fourth member


def test_groups_are_described_with_the_parts_of_those_that_look_like_two_things():
    found = describe_groups(made())
    assert [row[:2] for row in found.rows] == [[0, 2], [1, 1], [2, 1]]
    assert found.splits == [{"group": 0, "probability": 0.75, "sizes": [1, 1], "parts": [[0], [1]]}]
    assert found.merges == []
    assert (found.members, found.groups) == ({0, 1}, {0, 1, 2})


def test_a_pair_of_groups_that_look_like_one_thing_is_proposed_once():
    found = made()
    object.__setattr__(found.groups, "merge", torch.tensor([0.75, 0.0, 0.625]))
    object.__setattr__(found.groups, "twin", torch.tensor([2, -1, 0]))
    described = describe_groups(found)
    assert described.merges == [{"groups": [0, 2], "probability": 0.75, "sizes": [2, 1], "members": [[0, 1], [3]]}]
