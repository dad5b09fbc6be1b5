"""The UOTA paper's score: minus the squared Mahalanobis distance of a view to its image's centre.

Wang et al., *Improving Self-supervised Learning with Automated Unsupervised Outlier Arbitration*, NeurIPS 2021,
section 3, equations 9 and 10.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Scores
from uota.arbitration.shrinkage import SHRINKAGES
from uota.distributed import count_over_ranks, from_rank_before, max_over_ranks, sum_over_ranks, world_size

# The logarithmic axis of histograms of distances ends at this multiple of their mean D.
FARTHEST = 1e4
# Multiple of the rounding error of a covariance that is added if it is indefinite. It leaves the distances of singular
# covariances equal up to 2e-5; 1 is mostly enough, and of 111 they differ by 2e-4.
JITTER = 11
# Squares of smaller entries do not overflow, however many are summed.
LARGE = 1e12
# Smallest trace from which the size of rounding errors is taken, for a covariance of zero.
SMALLEST_TRACE = 1e-20


@dataclass(frozen=True)
class Mahalanobis:
    """Score every view by −d² to the centre of its image, under one covariance pooled over all views of all ranks.

    Attributes:
        anchors: the centre is the mean of the first `anchors` views; None: of all, as in equation 10 (the released code
            takes its two large crops).
        covariance: "empirical", or shrunk: "oas" or "ledoit_wolf". If N(M − 1) ≤ D the empirical covariance is
            singular and every distance an artefact of rounding and `eps`; a shrunk one is not.
        eps: added to the diagonal (1e-8 in the released code).
    """

    anchors: int | None = None
    covariance: str = "empirical"
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not isinstance(self.covariance, str) or self.covariance not in SHRINKAGES:
            raise ValueError(f"covariance is {self.covariance!r}; it must be one of {', '.join(SHRINKAGES)}")
        if self.anchors is not None and (not isinstance(self.anchors, int) or self.anchors < 1):
            raise ValueError(f"anchors is {self.anchors}; it must be at least 1, or None for all views")
        if not is_number(self.eps) or not self.eps >= 0:
            raise ValueError(f"eps is {self.eps}; it must be 0 or more")

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        deviations = z - z[: self.anchors].mean(0)
        factor = cholesky_of_scatter(deviations, self.covariance, self.eps)
        return Scores(
            observed=-squared_distances(deviations, factor),
            nulls=partial(self._nulls, z, factor) if z.shape[1] > 1 or world_size() > 1 else None,
            position=partial(_position, dim=z.shape[-1]),
        )

    def _nulls(self, z: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        # A distance to one centre does not depend on the other images of the batch: both nulls are the same.
        centres = z[: self.anchors].mean(0)
        others = torch.cat([from_rank_before(centres[-1:]), centres[:-1]])
        null = -squared_distances(z - others, factor)
        return null, null


def cholesky_of_scatter(deviations: Float[Tensor, "views batch dim"], covariance: str, eps: float) -> Tensor:
    """Factorise the pooled covariance of the deviations over all ranks: its lower Cholesky factor (dim, dim).

    If rounding leaves the covariance indefinite (D > NM, identical views), a multiple of the identity of the size of
    the rounding is added; if even that is not enough, its diagonal alone is used. All of these are computed, as the
    device would have to be waited for to know which is needed.
    """
    unit = _unit(deviations)
    rows = deviations.flatten(0, 1) / unit
    count = count_over_ranks(rows[:, 0])
    scatter = SHRINKAGES[covariance](rows, sum_over_ranks(rows.T @ rows) / count, count)
    jitter = JITTER * torch.finfo(scatter.dtype).eps * scatter.trace().clamp_min(SMALLEST_TRACE)
    least = eps / unit / unit
    candidates = scatter.expand(2, -1, -1).clone()
    candidates.diagonal(dim1=1, dim2=2).add_(torch.stack([least, least + jitter]).unsqueeze(1))
    factors, failed = torch.linalg.cholesky_ex(candidates)
    alone = candidates[1].diagonal().sqrt().diag()
    return unit * torch.where(failed[0] == 0, factors[0], torch.where(failed[1] == 0, factors[1], alone))


def _unit(x: Tensor) -> Float[Tensor, ""]:
    """Return 1, or the size of the largest entry of all ranks where squares of entries might overflow."""
    largest = max_over_ranks(x.abs().max())
    return torch.where(largest > LARGE, largest, 1.0)


def squared_distances(
    deviations: Float[Tensor, "views batch dim"], factor: Float[Tensor, "dim dim"]
) -> Float[Tensor, "views batch"]:
    """Compute ‖L⁻¹x‖² for every deviation x with one triangular solve: no inverse, and no products of all pairs."""
    rows = deviations.flatten(0, 1).to(factor)
    # Solving from the right, on rows as they lie in memory, is twice as fast as from the left on their transpose.
    whitened = torch.linalg.solve_triangular(factor.T, rows, upper=True, left=False)
    return whitened.square().sum(1).view(deviations.shape[:2]).to(deviations)


def _position(score: Tensor, dim: int) -> Tensor:
    return 1 - torch.log1p(-score / dim) / math.log1p(FARTHEST)
