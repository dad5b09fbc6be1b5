"""Linear evaluation: logistic regression on frozen features, with regularisation chosen on held-out training images."""

import warnings
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from uota.errors import UotaError
from uota.evaluation.features import Features, top_k_accuracy

# Candidates for the inverse strength of the penalty, scikit-learn's C.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 0.2


@dataclass(frozen=True)
class Linear:
    """Accuracies in per cent and the chosen regularisation, scikit-learn's C."""

    top1: float
    top5: float
    regularisation: float


def evaluate_linear(train: Features, test: Features, seed: int = 0) -> Linear:
    """Fit on the training features, with C chosen on a stratified fifth of them, and score the test features.

    Raises:
        UotaError: no class has two images.
    """
    x, y = train.x.numpy(), train.labels.numpy()
    fitted, held = hold_out(train.labels, seed)
    fit_x, fit_y, held_x, held_y = x[fitted], y[fitted], x[held], y[held]
    with warnings.catch_warnings():
        # The choice on held-out images is valid whether or not the fits have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = max(STRENGTHS, key=lambda strength: _classifier(strength).fit(fit_x, fit_y).score(held_x, held_y))
        classifier = _classifier(best).fit(x, y)
    ranking = _ranking(classifier, test)
    return Linear(top_k_accuracy(ranking, test.labels, 1), top_k_accuracy(ranking, test.labels, 5), best)


def check_can_hold_out(labels: Int64[Tensor, " images"]) -> None:
    """Require a class of which an image can be held out.

    Raises:
        UotaError: no class has two images.
    """
    if int(labels.unique(return_counts=True)[1].max()) < 2:
        raise UotaError(
            "linear chooses its regularisation on held-out training images, and no class has two of them; "
            "give more labelled images, or evaluate knn"
        )


def hold_out(labels: Int64[Tensor, " images"], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the images to fit on, which include every class, and of the held-out fifth.

    Raises:
        UotaError: no class has two images.
    """
    check_can_hold_out(labels)
    _, counts = labels.unique(return_counts=True)
    places = np.arange(len(labels))
    if counts.min() >= 2 and ceil(HELD_OUT * len(labels)) >= len(counts):
        fitted, held = train_test_split(places, test_size=HELD_OUT, random_state=seed, stratify=labels.numpy())
        return fitted, held
    # There are too few images to stratify: hold out a fifth of each class, but at least one image, and none of a class
    # with a single image.
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(np.flatnonzero(labels.numpy() == label)) for label in labels.unique().tolist()]
    held = np.concatenate([each[: max(1, int(HELD_OUT * len(each)))] for each in shuffled if len(each) > 1])
    return np.setdiff1d(places, held), held


def _classifier(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))


def _ranking(classifier: Any, test: Features) -> torch.Tensor:
    order = classifier.predict_proba(test.x.numpy()).argsort(1)[:, ::-1]
    return torch.from_numpy(classifier.classes_[order].copy())
