import numpy as np
import torch

from uota.inspection.analysis.causes import binned, find_causes, mean_with_interval


def test_true_causes_are_ranked_first_with_their_true_effects(made):
    causes = find_causes(made, made.shows_own_item)
    assert [cause.key for cause in causes.ranking[:2]] == ["area", "grey"]
    assert causes.explained > 0.95
    # The weights are additive, so a factor's share is the variance of its own effect.
    weights = made.verdict.weights
    area = made.parameters.box[..., 2] * made.parameters.box[..., 3] / 64**2
    for cause, done in zip(causes.ranking, (0.5 * (area < 0.12), 0.2 * made.parameters.grey), strict=False):
        share = (done / (1 - made.outlier_probability).mean()).var() / weights.var()
        assert abs(cause.importance - float(share)) < 0.06
    assert all(abs(cause.importance) < 0.02 for cause in causes.ranking[2:])
    mean = float(1 - made.outlier_probability.mean())
    area, grey = causes.ranking[:2]
    share = made.parameters.grey.double().mean().item()
    small, large = (area.dependence[area.grid < 11], area.dependence[area.grid > 13])
    np.testing.assert_allclose(small.mean(), (0.4 - 0.2 * share) / mean, atol=0.05)
    np.testing.assert_allclose(large.mean(), (0.9 - 0.2 * share) / mean, atol=0.05)
    assert grey.bins.mean[0] - grey.bins.mean[1] > 0.15


def test_constant_factors_are_left_out(made):
    keys = {cause.key for cause in find_causes(made, made.shows_own_item).ranking}
    assert keys == {"area", "x", "y", "aspect", "brightness", "grey", "flip", "small"}


def test_nothing_is_claimed_of_few_flagged_views_or_of_equal_weights(made, table_of, parameters):
    counted = (made.outlier_probability <= 0.5) | (torch.arange(400) < 5)
    assert 0 < (counted & (made.outlier_probability > 0.5)).sum() < 20
    equal = table_of(torch.full(made.shape, 0.6, dtype=torch.float64), parameters)
    for causes in (find_causes(made, counted), find_causes(equal, equal.shows_own_item)):
        assert causes.explained is None
        assert causes.ranking == []


def test_bins_have_equal_numbers_of_views_and_their_means():
    values = np.random.default_rng(0).random((50, 8))
    found = binned(values, values**2, np.ones_like(values, dtype=bool), binary=False)
    assert found.views.sum() == 400
    assert (found.views == 40).all()
    order = np.sort(values.flatten()).reshape(10, 40)
    np.testing.assert_allclose(found.mean, (order**2).mean(1))
    np.testing.assert_allclose((found.low, found.high), (order[:, 0], order[:, -1]))
    assert (found.lower < found.mean).all()
    assert (found.mean < found.upper).all()


def test_intervals_have_their_nominal_coverage_although_views_of_an_image_are_correlated():
    random = np.random.default_rng(1)
    covered = []
    for _ in range(120):
        values = np.repeat(random.normal(size=(60, 1)), 6, 1)
        _, lower, upper = mean_with_interval(values, np.ones((60, 6, 1), dtype=bool))
        covered.append(lower[0] <= 0 <= upper[0])
    assert 0.88 < np.mean(covered) < 0.99
