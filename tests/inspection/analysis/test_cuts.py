import numpy as np
import pytest

from uota.inspection.analysis import cuts
from uota.inspection.analysis.cuts import _gains, best_threshold, candidate_thresholds, measure_cut


def test_a_cut_equals_a_plain_loop():
    random = np.random.default_rng(0)
    harm, counted = random.random((6, 200)), random.random((6, 200)) < 0.9
    flagged = (random.random((6, 200)) < 0.05 + 0.2 * (harm > 0.7)) & counted
    cut = measure_cut(harm, flagged, counted, 0.7)
    rows = [(h > 0.7, f) for h, f, c in zip(harm.flat, flagged.flat, counted.flat, strict=True) if c]
    beyond, within = ([f for above, f in rows if above is side] for side in (np.True_, np.False_))
    assert (cut.dropped, cut.flagged_dropped) == (len(beyond), sum(beyond))
    assert (cut.kept, cut.flagged_kept) == (len(within), sum(within))
    assert cut.risk_ratio == pytest.approx(np.mean(beyond) / np.mean(within))
    good = [sum(not f for f in side) for side in (beyond, within)]
    assert cut.gain == pytest.approx(sum(beyond) / flagged.sum() - good[0] / sum(good))
    assert cut.lower < cut.risk_ratio < cut.upper


def test_the_interval_of_the_ratio_covers_the_truth_at_the_threshold_that_was_chosen():
    covered, tried = 0, 60
    for seed in range(tried):
        random = np.random.default_rng(seed)
        harm, counted = random.random((4, 150)), np.ones((4, 150), dtype=bool)
        flagged = random.random((4, 150)) < np.where(harm > 0.8, 0.4, 0.04)
        threshold, _ = best_threshold(harm, flagged, counted, candidate_thresholds(harm, counted, False))
        cut = measure_cut(harm, flagged, counted, threshold, seed)
        beyond, within = (
            np.mean(np.where(np.linspace(low, high, 1000) > 0.8, 0.4, 0.04))
            for low, high in ((threshold, 1), (0, threshold))
        )
        covered += cut.lower <= beyond / within <= cut.upper
    assert covered >= 0.85 * tried


def test_if_no_other_view_is_flagged_the_ratio_has_only_a_lower_end():
    harm = np.tile(np.linspace(0, 1, 100), (2, 1))
    cut = measure_cut(harm, harm > 0.8, np.ones_like(harm, dtype=bool), 0.8)
    assert cut.risk_ratio == cut.upper == np.inf
    assert cut.lower == pytest.approx(160 / 3, rel=0.1)  # all against three of the 160 others


def test_views_on_one_side_of_the_threshold_are_no_cut():
    harm = np.random.default_rng(0).random((2, 50))
    assert measure_cut(harm, harm > 0.5, np.ones_like(harm, dtype=bool), 2.0) is None


def test_gains_equal_a_plain_loop_over_pairings():
    random = np.random.default_rng(0)
    harm, counted = random.random((3, 80)), random.random((3, 80)) < 0.9
    flagged = (random.random((3, 80)) < 0.6) & counted
    thresholds = np.array([0.1, 0.4, 0.7, 0.9])
    pairings = np.stack([np.arange(80), random.permutation(80)])
    level = np.where(counted, np.searchsorted(thresholds, harm), -1)
    for image_of, gains in zip(pairings, _gains(level, flagged, pairings, 4), strict=True):
        paired, kept = harm[:, image_of], counted[:, image_of] & flagged
        for threshold, gain in zip(thresholds, gains, strict=True):
            dropped = (kept & (paired > threshold)).sum()
            expected = dropped / kept.sum() - (counted & (harm > threshold)).sum() / counted.sum()
            assert gain == (pytest.approx(expected) if dropped >= 20 else -np.inf)


@pytest.mark.parametrize("gathered", [False, True], ids=["single views", "whole images"])
def test_p_values_are_uniform_if_augmentations_do_not_matter(gathered):
    p_values = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        harm, counted = random.random((4, 60)), random.random((4, 60)) < 0.9
        drawn = random.random((4, 60))
        flagged = ((drawn[:1] if gathered else drawn) < 0.5) & counted
        p_values.append(best_threshold(harm, flagged, counted, candidate_thresholds(harm, counted, False), seed)[1])
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.12)


def test_a_test_that_ends_early_decides_as_the_full_one(monkeypatch):
    decisions = []
    for at_once in (100, cuts.PERMUTATIONS):
        monkeypatch.setattr(cuts, "AT_ONCE", at_once)
        random = np.random.default_rng(0)
        harm, counted = random.random((4, 60)), np.ones((4, 60), dtype=bool)
        for effect in (0.0, 0.1, 0.4):
            flagged = random.random((4, 60)) < 0.4 + effect * (harm > 0.7)
            found = best_threshold(harm, flagged, counted, candidate_thresholds(harm, counted, False))
            decisions.append((found[0], found[1] <= 0.05))
    assert decisions[:3] == decisions[3:]
    assert {decision for _, decision in decisions} == {False, True}
