"""What scores, strengths and arbiters return for a batch of views."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import count_over_ranks, sum_over_ranks

Number = float | Float[Tensor, ""]


@dataclass(frozen=True, repr=False, eq=False)
class Scores:
    """Scores of views: how well each shows what the other views of its image show; higher is better.

    Attributes:
        observed: score of each view against its own image.
        nulls: computes the scores of the same views against *another* image, from which the distribution of outliers'
            scores is known: first as if the view's own image were not in the batch (strangers), then with it there
            (residents), one score for each other image. None if the batch is too small.
        position: increasing map of a score to [0, 1], the axis of a histogram.
    """

    observed: Float[Tensor, "views batch"]
    nulls: Callable[[], tuple[Tensor, Tensor]] | None
    position: Callable[[Tensor], Tensor]

    def __repr__(self) -> str:
        nulls = "" if self.nulls is None else ", with nulls"
        return f"Scores({summary(self.observed, 'observed')}{nulls})"


@dataclass(frozen=True, repr=False, eq=False)
class Weighing:
    """Weights that a strength computes from scores, mean 1 over the global batch, and what it estimated for them.

    Attributes:
        weights: one per view.
        tau: the temperature used; None if the strength has none. Like `outlier_rate`, it is a tensor if it was computed
            on the device, which `float` waits for.
        outlier_probability, outlier_rate: estimates of the two-groups strength; otherwise None.
    """

    weights: Float[Tensor, "views batch"]
    tau: Number | None = None
    outlier_probability: Float[Tensor, "views batch"] | None = None
    outlier_rate: Number | None = None

    def __repr__(self) -> str:
        return f"Weighing({_weights_in_short(self)})"


@dataclass(frozen=True, repr=False, eq=False)
class Arbitration:
    """Result of arbitration: the weights of a batch of views, and what they were computed from.

    Attributes:
        weights: one per view, mean 1 over the global batch, no gradient.
        scores: what the weights were computed from; higher is better.
        distances: squared Mahalanobis distances, for the paper's score; otherwise None.
        tau: the temperature used; None if the strength has none. Like `outlier_rate`, it is a tensor if it was computed
            on the device, which `float` waits for.
        outlier_probability, outlier_rate: estimates of the two-groups strength; otherwise None.
    """

    weights: Float[Tensor, "views batch"]
    scores: Float[Tensor, "views batch"]
    distances: Float[Tensor, "views batch"] | None = None
    tau: Number | None = None
    outlier_probability: Float[Tensor, "views batch"] | None = None
    outlier_rate: Number | None = None

    @property
    def ess(self) -> float:
        """Effective sample size of the weights over the global batch; reading it waits for the device."""
        return effective_sample_size(self.weights)

    def __repr__(self) -> str:
        return f"Arbitration({_weights_in_short(self)})"


def effective_sample_size(weights: Float[Tensor, "views batch"]) -> float:
    """Compute (Σw)² / (Σw² · NM) over the global batch, in (0, 1]; 1 means that all weights are equal."""
    return float(ess_on_device(weights))


def ess_on_device(weights: Float[Tensor, "views batch"]) -> Float[Tensor, ""]:
    """Compute `effective_sample_size` without waiting for the device."""
    sums = sum_over_ranks(torch.stack([weights.sum(), weights.square().sum()]))
    return sums[0].square() / (sums[1] * count_over_ranks(weights))


def rescaled_to_mean_one(weights: Float[Tensor, "views batch"]) -> Float[Tensor, "views batch"]:
    """Divide weights by their mean over the global batch; all-zero weights become uniform."""
    mean = sum_over_ranks(weights.sum()) / count_over_ranks(weights)
    return torch.where(mean > 0, weights / mean.clamp_min(torch.finfo(weights.dtype).tiny), 1.0)


def summary(x: Tensor, name: str) -> str:
    """Describe this rank's tensor (views, batch) on one line: shape, range and mean."""
    shape = " × ".join(str(size) for size in x.shape)
    if x.is_meta or x.numel() == 0:
        return f"{name} {shape} without values"
    x = x.detach().double()
    return f"{name} {shape}, {x.min():.3g} to {x.max():.3g}, mean {x.mean():.3g}"


def _weights_in_short(verdict: Weighing | Arbitration) -> str:
    weights = verdict.weights
    parts = [summary(weights, "weights")]
    if not weights.is_meta and weights.numel():
        weights = weights.detach().double()
        # This rank's weights only: a repr that waited for other ranks would hang if only one of them prints.
        ess = weights.sum().square() / (weights.square().sum() * weights.numel())
        parts.append(f"ess {ess:.3g}")
    if verdict.tau is not None:
        parts.append(f"tau {verdict.tau:.4g}")
    if verdict.outlier_rate is not None:
        parts.append(f"outlier rate {verdict.outlier_rate:.3g}")
    return ", ".join(parts)
