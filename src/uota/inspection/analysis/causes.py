"""The causes of outliers: how the weight of views depends on their augmentation parameters."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from torch import Tensor

from uota.inspection.analysis.flagged import MIN_FLAGGED, flagged_views
from uota.inspection.table import Columns, ViewTable

BINS = 10
RESAMPLES = 400
# Hyperparameters of the model of the weights, which is fitted and tested on different images.
TREES, LEARNING_RATE, LEAVES, MIN_LEAF_VIEWS = 60, 0.05, 8, 40
GRID, ROWS, REPEATS = 24, 400, 5
# With a smaller standard deviation, the weights do not vary enough to explain.
MIN_WEIGHT_STD = 1e-3


@dataclass(frozen=True)
class Factor:
    """An augmentation parameter as a number.

    Attributes:
        name: displayed name.
        unit: displayed unit, such as % or ×.
        of: computes its values from the table's columns.
        binary: the value is 0 or 1.
    """

    name: str
    unit: str
    of: Callable[[Columns], ndarray]
    binary: bool = False


def _column(name: str) -> Callable[[Columns], ndarray]:
    return lambda columns: columns[name].astype(np.float64)


FACTORS = {
    "area": Factor("crop area", "% of the image", lambda columns: 100 * columns["area"]),
    "x": Factor("crop centre, left to right", "% of the width", lambda columns: 100 * columns["x"]),
    "y": Factor("crop centre, top to bottom", "% of the height", lambda columns: 100 * columns["y"]),
    "aspect": Factor("crop aspect", "width / height", _column("aspect")),
    "brightness": Factor("brightness", "×", _column("brightness")),
    "contrast": Factor("contrast", "×", _column("contrast")),
    "saturation": Factor("saturation", "×", _column("saturation")),
    "hue": Factor("hue", "turns", _column("hue")),
    "blur_sigma": Factor("blur", "sigma, pixels", _column("blur_sigma")),
    "grey": Factor("turned grey", "", _column("grey"), binary=True),
    "solarise": Factor("solarised", "", _column("solarise"), binary=True),
    "flip": Factor("mirrored", "", _column("flip"), binary=True),
    "small": Factor("small view", "", lambda columns: (columns["kind"] == "local").astype(np.float64), binary=True),
}


@dataclass(frozen=True)
class Bins:
    """Mean weight of the views in each bin of a factor, with a 95 % interval from a bootstrap over images.

    Attributes:
        low, high: smallest and largest value of the factor in each bin.
        mean: mean weight.
        lower, upper: ends of its interval.
        views: number of views.
    """

    low: Float[ndarray, " bins"]
    high: Float[ndarray, " bins"]
    mean: Float[ndarray, " bins"]
    lower: Float[ndarray, " bins"]
    upper: Float[ndarray, " bins"]
    views: ndarray


@dataclass(frozen=True)
class Cause:
    """The effect of one factor on the weights.

    Attributes:
        key: key in `FACTORS`.
        importance: share of the weights' variance on held-out images that involves the factor: half of the drop in R²
            when the factor is permuted, which is the total sensitivity index in the form of Jansen (1999, "Analysis of
            variance designs for model output").
        spread: standard deviation of the importance over permutations.
        bins: mean weights in bins of the factor.
        grid: values of the factor.
        dependence: partial dependence of the weights on the factor, at the values of the grid.
    """

    key: str
    importance: float
    spread: float
    bins: Bins
    grid: Float[ndarray, " grid"]
    dependence: Float[ndarray, " grid"]


@dataclass(frozen=True)
class Causes:
    """All factors that vary among the views, the most important first.

    Attributes:
        explained: R² of the model on held-out images; None if nothing is claimed, as all views have the same weight or
            fewer than `MIN_FLAGGED` of them are flagged.
        ranking: factors by descending importance; empty if nothing is claimed.
    """

    explained: float | None
    ranking: list[Cause]


def find_causes(table: ViewTable, counted: Bool[Tensor, "views images"], seed: int = 0) -> Causes:
    """Rank the factors by how much they explain of the weights.

    Gradient-boosted trees are fitted on half of the images, and the importances are measured on the other half.

    Args:
        table: the scored views.
        counted: views that count: not injected ones, for instance.
        seed: seed of the split in halves, of the permutations and of the intervals.
    """
    weights = table.verdict.weights.double().numpy().T.flatten()
    inside = counted.numpy().T
    varies = weights[inside.flatten()].std() > MIN_WEIGHT_STD
    if not varies or flagged_views(table.outlier_probability, counted).sum() < MIN_FLAGGED:
        return Causes(None, [])
    columns = table.columns()
    values = {key: factor.of(columns) for key, factor in FACTORS.items()}
    keys = [key for key, value in values.items() if np.ptp(value) > 0]
    x = np.stack([values[key] for key in keys], -1)
    views, images = table.shape
    half = np.repeat(np.random.default_rng(seed).permutation(images) % 2 == 0, views)
    fitted, held_out = half & inside.flatten(), ~half & inside.flatten()
    model = HistGradientBoostingRegressor(
        max_iter=TREES,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=MIN_LEAF_VIEWS,
        early_stopping=False,
        random_state=seed,
    ).fit(x[fitted], weights[fitted])
    drops = permutation_importance(model, x[held_out], weights[held_out], n_repeats=REPEATS, random_state=seed)
    causes = []
    for place, key in enumerate(keys):
        grid, dependence = _dependence(model, x, place, seed)
        value, weight = values[key].reshape(images, views), weights.reshape(images, views)
        bins = binned(value, weight, inside, FACTORS[key].binary, seed)
        importance, spread = drops["importances_mean"][place] / 2, drops["importances_std"][place] / 2
        causes.append(Cause(key, float(importance), float(spread), bins, grid, dependence))
    explained = float(model.score(x[held_out], weights[held_out]))
    return Causes(explained, sorted(causes, key=lambda cause: -cause.importance))


def _dependence(model: HistGradientBoostingRegressor, x: ndarray, place: int, seed: int) -> tuple[ndarray, ndarray]:
    rows = np.random.default_rng(seed).permutation(len(x))[:ROWS]
    grid = np.unique(np.quantile(x[:, place], np.linspace(0, 1, GRID)))
    found = partial_dependence(model, x[rows], [place], custom_values={place: grid}, kind="average", method="brute")
    return grid, found["average"][0]


def binned(
    values: Float[ndarray, "images views"],
    weights: Float[ndarray, "images views"],
    counted: Bool[ndarray, "images views"],
    binary: bool,
    seed: int = 0,
) -> Bins:
    """Average the weights in bins with equal numbers of the counted views, or in two bins for a binary factor."""
    edges = np.array([0, 0.5, 1]) if binary else np.unique(np.quantile(values[counted], np.linspace(0, 1, BINS + 1)))
    bin_of = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    inside = (bin_of[..., None] == np.arange(len(edges) - 1)) & counted[..., None]
    low = np.array([values[inside[..., place]].min(initial=np.inf) for place in range(len(edges) - 1)])
    high = np.array([values[inside[..., place]].max(initial=-np.inf) for place in range(len(edges) - 1)])
    mean, lower, upper = mean_with_interval(weights, inside, seed)
    filled = np.isfinite(low)
    views = inside.sum((0, 1))
    return Bins(*(column[filled] for column in (low, high, mean, lower, upper, views)))


def mean_with_interval(
    values: Float[ndarray, "images views"], inside: Bool[ndarray, "images views bins"], seed: int = 0
) -> tuple[ndarray, ndarray, ndarray]:
    """Return the mean of the values in each bin and its 95 % interval by a bootstrap over whole images."""
    sums, counts = (values[..., None] * inside).sum(1), inside.sum(1)
    resamples = resampled_images(len(values), seed)
    total, number = resamples @ sums, resamples @ counts
    means = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    lower, upper = np.array([np.quantile(column[np.isfinite(column)], (0.025, 0.975)) if np.isfinite(column).any()
                             else (np.nan, np.nan) for column in means.T]).T  # fmt: skip
    count = counts.sum(0)
    mean = np.divide(sums.sum(0), count, out=np.full(len(count), np.nan), where=count > 0)
    return mean, lower, upper


def resampled_images(images: int, seed: int) -> Float[ndarray, "resamples images"]:
    """Return how often each image is drawn in each bootstrap sample."""
    drawn = np.random.default_rng(seed).integers(images, size=(RESAMPLES, images))
    cells = (drawn + images * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(cells, minlength=drawn.size).reshape(drawn.shape).astype(float)
