import numpy as np
import pytest
import torch
from sklearn.metrics import auc

from uota.inspection.analysis.calibration import calibrations, reliability


def test_true_probabilities_are_on_the_diagonal(table_of, parameters):
    random = torch.Generator().manual_seed(0)
    probability = torch.rand(parameters.flip.shape, generator=random, dtype=torch.float64)
    wrong = torch.rand(probability.shape, generator=random) < probability
    found = calibrations(table_of(probability, parameters, wrong))
    assert set(found) == {"learned", "two_groups", "mahalanobis"}
    learned = found["learned"]
    assert learned.auroc == pytest.approx(auc(learned.false_positives, learned.true_positives), abs=1e-3)
    p, w = probability.flatten().numpy(), wrong.flatten().numpy()
    pairs = p[w][:, None] - p[~w]
    assert learned.auroc == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    assert learned.estimated == pytest.approx(float(wrong.double().mean()), abs=0.03)
    diagram = learned.reliability
    assert ((diagram.lower <= diagram.said) & (diagram.said <= diagram.upper)).mean() >= 0.8
    assert found["mahalanobis"].estimated is None
    assert found["mahalanobis"].reliability is None


def test_reliability_counts_by_tenths():
    diagram = reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    np.testing.assert_allclose(diagram.said, [0.05, 0.975])
    np.testing.assert_allclose(diagram.true, [0.5, 1.0])
    np.testing.assert_array_equal(diagram.views, [2, 2])
    # Wilson's score interval of 1 success in 2 trials, written out.
    z, n, p = 1.96, 2, 0.5
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    np.testing.assert_allclose((diagram.lower[0], diagram.upper[0]), (0.5 - half, 0.5 + half))


def test_calibration_needs_ground_truth_with_outliers(table_of, made, parameters):
    assert calibrations(made) == {}
    assert calibrations(table_of(made.outlier_probability, parameters, torch.zeros_like(parameters.flip))) == {}
