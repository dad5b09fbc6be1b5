"""Covariance shrinkage in closed form: Σ → (1 − s) Σ + s · tr(Σ)/D · I.

Deviations are already centred; scikit-learn's `ledoit_wolf` and `oas` with `assume_centered=True` are the references.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import sum_over_ranks

Rows = Float[Tensor, "rows dim"]
Scatter = Float[Tensor, "dim dim"]


def empirical(rows: Rows, scatter: Scatter, count: Tensor) -> Scatter:
    """Return the covariance unchanged."""
    return scatter


def ledoit_wolf(rows: Rows, scatter: Scatter, count: Tensor) -> Scatter:
    """Shrink as Ledoit and Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*, 2004."""
    mean = _positive(scatter.trace() / len(scatter))  # the unit of all that follows: fourth powers overflow
    square = (scatter / mean).square().sum()
    fourth_moment = sum_over_ranks((rows.square().sum(1) / mean).square().sum()) / count
    noise = (fourth_moment - square) / count
    return _shrunk(scatter, noise / _positive(square - len(scatter)))


def oas(rows: Rows, scatter: Scatter, count: Tensor) -> Scatter:
    """Shrink as Chen et al. (OAS), *Shrinkage algorithms for MMSE covariance estimation*, 2010."""
    dim = len(scatter)
    mean_square = (scatter / _positive(scatter.trace() / dim)).square().mean()
    return _shrunk(scatter, (mean_square + 1) / _positive((count + 1) * (mean_square - 1 / dim)))


def _shrunk(scatter: Scatter, share: Tensor) -> Scatter:
    share = share.clamp(0, 1)
    shrunk = (1 - share) * scatter
    shrunk.diagonal().add_(share * scatter.trace() / len(scatter))
    return shrunk


def _positive(x: Tensor) -> Tensor:
    return x.clamp_min(torch.finfo(x.dtype).tiny)


SHRINKAGES: dict[str, Callable[[Rows, Scatter, Tensor], Scatter]] = {
    "empirical": empirical,
    "ledoit_wolf": ledoit_wolf,
    "oas": oas,
}
