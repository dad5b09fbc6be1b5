import numpy as np
import pytest
import torch
from scipy.stats import beta, bootstrap

from uota.arbitration import Scores, TwoGroups
from uota.arbitration.strengths.two_groups import counts_by_image
from uota.inspection.analysis import resampling
from uota.inspection.analysis.share import _bca, share_of_counts

IMAGES, VIEWS = 50, 6


def gaussian_scores(rate, seed, images=IMAGES):
    """Scores of inliers N(0.9, 0.2) and of outliers N(0, 0.25), the strangers' null; residents score 0.07 less."""
    random = np.random.default_rng(seed)
    stranger = torch.from_numpy(random.normal(0, 0.25, (VIEWS, images, images - 1)))
    outlier = random.random((VIEWS, images)) < rate
    observed = np.where(outlier, random.normal(0, 0.25, outlier.shape), random.normal(0.9, 0.2, outlier.shape))
    return Scores(torch.from_numpy(observed), lambda: (stranger, stranger - 0.07), lambda score: (score + 1.5) / 3.5)


def share_of(scores, seed=0):
    return share_of_counts(counts_by_image(scores).float(), scores.observed.numel(), seed)


def test_the_estimate_is_that_of_the_two_groups_strength():
    scores = gaussian_scores(0.1, 0)
    expected = float(TwoGroups().eval()(scores).outlier_rate)
    assert share_of(scores).estimate == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(0.1, abs=0.04)


def test_batches_are_one_distribution():
    first, second = gaussian_scores(0.1, 1), gaussian_scores(0.3, 2)
    nulls = tuple(torch.cat(pair, 1) for pair in zip(first.nulls(), second.nulls(), strict=True))
    both = Scores(torch.cat([first.observed, second.observed], 1), lambda: nulls, first.position)
    counts = torch.cat([counts_by_image(first), counts_by_image(second)]).float()
    assert share_of_counts(counts, both.observed.numel()) == share_of(both)


def test_the_interval_of_a_skewed_statistic_equals_scipys():
    sample = np.random.default_rng(0).exponential(size=30)
    expected = bootstrap((sample,), np.mean, n_resamples=999, method="BCa", rng=np.random.default_rng(1))
    left_out = (sample.sum() - sample) / (len(sample) - 1)
    found = _bca(sample.mean(), expected.bootstrap_distribution, left_out)
    np.testing.assert_allclose(found, expected.confidence_interval, rtol=1e-3)


def test_the_interval_covers_the_rate_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 200)
    shares = [share_of(gaussian_scores(0.1, seed), seed) for seed in range(30)]
    assert sum(share.low <= 0.1 <= share.high for share in shares) >= 25
    spread = np.std([share.estimate for share in shares])
    assert np.mean([share.high - share.low for share in shares]) == pytest.approx(2 * 1.96 * spread, rel=0.3)
    assert not any(share.none for share in shares)


def test_without_outliers_the_interval_holds_zero():
    for seed in range(10):
        share = share_of(gaussian_scores(0, seed), seed)
        assert share.none
        assert share.low == 0
        # exact for no success in 300 trials: Clopper and Pearson, Biometrika 1934
        assert share.estimate <= beta.ppf(0.975, 1, IMAGES * VIEWS) <= share.high + 1e-12 < 0.02


def test_the_same_seed_gives_the_same_interval():
    scores = gaussian_scores(0.1, 0)
    assert share_of(scores, 3) == share_of(scores, 3)
    assert share_of(scores, 3) != share_of(scores, 4)
