"""Linear evaluation: logistic regression on frozen features, its regularisation chosen on held-out training images."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from uota.evaluation.features import Features, top_k_accuracy

# Inverse strengths of the penalty that are tried.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 0.2


@dataclass(frozen=True)
class Linear:
    """Accuracies in per cent and the regularisation that was chosen."""

    top1: float
    top5: float
    regularisation: float


def evaluate_linear(train: Features, test: Features, seed: int = 0) -> Linear:
    """Fit on the training features, the strength chosen on a stratified fifth of them; report on the test features."""
    x, y = train.x.numpy(), train.labels.numpy()
    few = bool((train.labels.bincount()[train.labels.unique()] < 2).any())
    fit_x, held_x, fit_y, held_y = train_test_split(
        x, y, test_size=HELD_OUT, random_state=seed, stratify=None if few else y
    )
    with warnings.catch_warnings():
        # An unfinished fit is a result like any other: the held-out images judge it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = max(STRENGTHS, key=lambda strength: _classifier(strength).fit(fit_x, fit_y).score(held_x, held_y))
        classifier = _classifier(best).fit(x, y)
    ranking = _ranking(classifier, test)
    return Linear(top_k_accuracy(ranking, test.labels, 1), top_k_accuracy(ranking, test.labels, 5), best)


def _classifier(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def _ranking(classifier: Any, test: Features) -> torch.Tensor:
    order = classifier.predict_proba(test.x.numpy()).argsort(1)[:, ::-1]
    return torch.from_numpy(classifier.classes_[order].copy())
