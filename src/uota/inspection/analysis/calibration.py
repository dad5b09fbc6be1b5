"""How well each arbiter tells outliers, where the truth is known."""

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
    """In bins of the outlier probability: what was said, what was true, and a 95 % interval (Wilson's) of the latter.

    Attributes:
        said: mean probability. true: share of outliers. lower, upper: of it. views: in the bin.
    """

    said: Float[ndarray, " bins"]
    true: Float[ndarray, " bins"]
    lower: Float[ndarray, " bins"]
    upper: Float[ndarray, " bins"]
    views: ndarray


@dataclass(frozen=True)
class Calibration:
    """One arbiter against the truth.

    Attributes:
        false_positives, true_positives: the ROC curve, rising.
        auroc: of the score.
        estimated: rate of outliers; None: the arbiter estimates none.
        reliability: None: the arbiter gives weights, no probabilities.
    """

    false_positives: Float[ndarray, " points"]
    true_positives: Float[ndarray, " points"]
    auroc: float
    estimated: float | None
    reliability: Reliability | None


def calibrations(table: ViewTable) -> dict[str, Calibration]:
    """Of every arbiter; empty where the truth is unknown, or where there are no outliers or nothing else."""
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
    said = None if probability is None else reliability(probability.flatten().double().numpy(), wrong)
    auroc = float(roc_auc_score(wrong, badness))
    return Calibration(false_positives[kept], true_positives[kept], auroc, verdict.outlier_rate, said)


def reliability(probability: Float[ndarray, " n"], wrong: Bool[ndarray, " n"]) -> Reliability:
    """Tenths of the probability, those that are not empty."""
    bin_of = np.minimum((probability * BINS).astype(int), BINS - 1)
    inside = (bin_of == np.arange(BINS)[:, None]).astype(float)
    views = inside.sum(1)
    inside, views = inside[views > 0], views[views > 0]
    said, true = inside @ probability / views, inside @ wrong.astype(float) / views
    # Wilson's interval; 1.96 deviations are 95 %.
    z2 = 1.96**2 / views
    middle = (true + z2 / 2) / (1 + z2)
    half = np.sqrt(true * (1 - true) * z2 + z2 * z2 / 4) / (1 + z2)
    return Reliability(said, true, middle - half, middle + half, views)
