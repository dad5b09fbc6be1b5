"""Calibration of each arbiter against the ground truth: ROC curve and reliability diagram."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from sklearn.metrics import roc_auc_score, roc_curve

from uota.arbitration import Arbitration
from uota.inspection.table import ViewTable

POINTS = 120
BINS = 10


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram in bins of the outlier probability.

    Attributes:
        said: mean predicted probability.
        true: share of outliers.
        lower, upper: Wilson's 95 % interval of that share.
        views: number of views in the bin.
    """

    said: Float[ndarray, " bins"]
    true: Float[ndarray, " bins"]
    lower: Float[ndarray, " bins"]
    upper: Float[ndarray, " bins"]
    views: ndarray


@dataclass(frozen=True)
class Calibration:
    """One arbiter's verdicts compared with the ground truth.

    Attributes:
        false_positives, true_positives: ascending rates of the ROC curve.
        auroc: area under the ROC curve of the score.
        estimated: outlier rate estimated by the arbiter; None: it estimates none.
        reliability: reliability diagram; None: the arbiter gives weights but no probabilities.
    """

    false_positives: Float[ndarray, " points"]
    true_positives: Float[ndarray, " points"]
    auroc: float
    estimated: float | None
    reliability: Reliability | None


def calibrations(table: ViewTable) -> dict[str, Calibration]:
    """Calibrate every arbiter; empty if the ground truth is unknown or has only one class."""
    if table.wrong is None:
        return {}
    wrong = table.wrong.flatten().numpy()
    if wrong.all() or not wrong.any():
        return {}
    return {name: _calibration(verdict, wrong) for name, verdict in table.verdicts.items()}


def _calibration(verdict: Arbitration, wrong: Bool[ndarray, " n"]) -> Calibration:
    badness = -verdict.scores.flatten().double().numpy()
    false_positives, true_positives, _ = roc_curve(wrong, badness)
    kept = np.unique(np.linspace(0, len(false_positives) - 1, POINTS).round().astype(int))
    probability = verdict.outlier_probability
    diagram = None if probability is None else reliability(probability.flatten().double().numpy(), wrong)
    auroc = float(roc_auc_score(wrong, badness))
    rate = None if verdict.outlier_rate is None else float(verdict.outlier_rate)
    return Calibration(false_positives[kept], true_positives[kept], auroc, rate, diagram)


def reliability(probability: Float[ndarray, " n"], wrong: Bool[ndarray, " n"]) -> Reliability:
    """Compute the reliability diagram over the non-empty tenths of the probability."""
    bin_of = np.minimum((probability * BINS).astype(int), BINS - 1)
    inside = (bin_of == np.arange(BINS)[:, None]).astype(float)
    views = inside.sum(1)
    inside, views = inside[views > 0], views[views > 0]
    said, true = inside @ probability / views, inside @ wrong.astype(float) / views
    # Wilson's score interval (Wilson, 1927); 1.96 standard deviations are 95 %.
    z2 = 1.96**2 / views
    middle = (true + z2 / 2) / (1 + z2)
    half = np.sqrt(true * (1 - true) * z2 + z2 * z2 / 4) / (1 + z2)
    return Reliability(said, true, middle - half, middle + half, views)
