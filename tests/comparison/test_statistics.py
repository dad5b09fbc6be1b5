"""Means, intervals and paired tests, compared with SciPy."""

from math import isnan

import pytest
from scipy import stats

from uota.comparison import Estimate, Gain

BEFORE, AFTER = (60.0, 64.0, 62.0, 61.5), (66.0, 68.0, 69.0, 61.0)
DIFFERENCES = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]


def test_the_interval_of_a_mean_is_from_students_t():
    found = Estimate.of(AFTER)
    low, high = stats.t.interval(0.95, len(AFTER) - 1, loc=66.0, scale=stats.sem(AFTER))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


def test_a_gain_is_tested_by_the_paired_t_test():
    found, reference = Gain.of(DIFFERENCES), stats.ttest_rel(AFTER, BEFORE)
    interval = reference.confidence_interval(0.95)
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((interval.low, interval.high))


def test_one_seed_has_a_mean_and_no_interval():
    assert str(Gain.of([1.25])) == "+1.2"
    assert str(Estimate.of([51.25])) == "51.2"
    assert isnan(Gain.of([1.25]).p)
    assert isnan(Estimate.of([51.25]).half)


@pytest.mark.parametrize(("differences", "p"), [([0.0, 0.0], 1.0), ([1.5, 1.5, 1.5], 0.0)])
def test_equal_differences_do_not_divide_by_zero(differences, p):
    assert (Gain.of(differences).half, Gain.of(differences).p) == (0.0, p)
