"""Members of no group are found by their scores, however few, and not where right members look like them."""

import numpy as np
import pytest

from uota.membership.foreign import NONE, find_foreign


def scores(members, misplaced, foreign, apart=4.0, seed=0):
    """Scores of members, and of those that are known to belong to another group, and to none."""
    random = np.random.default_rng(seed)
    outliers = np.repeat([0, 8, apart], [members - misplaced - foreign, misplaced, foreign])
    return random.normal(size=members) - outliers, random.normal(size=500) - 8, random.normal(size=500) - apart


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("members", "foreign"), [(300, 20), (300, 60), (2000, 100), (20_000, 400)])
def test_members_of_no_group_are_trusted_if_they_are_there(members, foreign, seed):
    found = find_foreign(*scores(members, 0, foreign, seed=seed))
    assert found.trust > 0.9
    assert found.fraction > 0.8


def test_the_fraction_is_that_of_the_outliers():
    found = find_foreign(*scores(20_000, 600, 400))
    assert found.trust > 0.9
    assert found.fraction == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("members", "misplaced"), [(300, 0), (300, 30), (20_000, 1000)])
def test_none_are_found_where_there_are_none(members, misplaced, seed):
    assert find_foreign(*scores(members, misplaced, 0, seed=seed)) == NONE


def test_none_are_found_where_right_members_look_like_them():
    assert find_foreign(*scores(20_000, 1000, 0, apart=1.5)) == NONE


def test_members_that_are_all_alike_are_no_outliers():
    assert find_foreign(np.zeros(50), np.zeros(20), np.zeros(20)) == NONE
