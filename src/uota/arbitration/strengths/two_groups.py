"""Two-groups strength: weights from estimated outlier probabilities, without anything to tune.

The model is Efron's (*Large-scale simultaneous hypothesis testing: the choice of a null hypothesis*, JASA 2004): scores
are a mixture of two components, views that show their image and outliers. The distribution of outliers' scores is not
assumed but observed, as every view is also scored against other images.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from uota.arbitration.inputs import detached_float
from uota.arbitration.result import Scores, Weighing, rescaled_to_mean_one
from uota.arbitration.state import Lock, cast_at_least_float32, in_backward, own_modes
from uota.distributed import sum_over_ranks
from uota.numerics import wide

BINS = 256
# Resolution with which the count of a score is divided between two bins.
PARTS = 2**20
# Standard deviation, in bins, of the Gaussian that smooths the histograms.
SMOOTHING = 2.5
# Decay of the running densities.
MEMORY = 0.95
# What an image shows is only defined if most of its views show it, as Efron (2004) assumes that most cases are of one
# component. While a score cannot tell, everything looks like an outlier; with this bound all probabilities are then
# near each other, and the weights near uniform.
HIGHEST_RATE = 0.5


class TwoGroups(nn.Module):
    """Weights w = P(view is not an outlier | score), rescaled to mean 1, with probabilities estimated from the scores.

    The density of observed scores is f = (1 − π) f₀ + πₐ f₁ₐ + πᵦ f₁ᵦ, where outliers show either a stranger to the
    batch (a) or another image of the batch (b), and π = πₐ + πᵦ. Both shares are estimated where f₀ has no mass (below
    the median of f₁ₐ). Isotonic regression weighted by f makes P(outlier | s) decrease with s.

    The densities are running means over steps and ranks, in float32 or float64, and part of the state dict. They are
    not updated in eval mode (before any training, the batch at hand serves instead), nor inside a backward pass, where
    gradient checkpointing repeats calls. Fewer than three images give no null, and so uniform weights.
    """

    densities: Tensor

    def __init__(self) -> None:
        super().__init__()
        with torch.inference_mode(False):
            self.register_buffer("densities", torch.zeros(3, BINS, dtype=torch.float32))
        self._lock = Lock()
        self.register_load_state_dict_pre_hook(_check_densities)

    def __call__(self, scores: Scores) -> Weighing:
        return super().__call__(scores)

    def forward(self, scores: Scores) -> Weighing:
        if scores.nulls is None:
            return Weighing(torch.ones_like(scores.observed))
        with own_modes(scores.observed.device):
            kinds = (scores.observed, *scores.nulls())
            counts = sum_over_ranks(torch.stack([histograms(scores.position(kind)).sum(0) for kind in kinds]))
            with self._lock:
                densities = self._updated_densities(counts).to("cpu", torch.float64, copy=True)
            of_bin, rate = outlier_probability(densities @ smoothing())
            probability = _interpolate(of_bin.to(scores.observed), scores.position(scores.observed))
            return Weighing(rescaled_to_mean_one(1 - probability), None, probability, rate)

    def _updated_densities(self, counts: Int64[Tensor, "3 bins"]) -> Tensor:
        if self.densities.is_meta:
            raise ValueError(
                "the arbiter is on the meta device, where its densities have no values; "
                "make a new Arbiter and load its state"
            )
        if self.densities.is_inference() or self.densities.dtype != wide(self.densities.dtype):
            self.densities = detached_float(self.densities)  # made in inference mode, or cast by a wrapper
        learns = self.training and not in_backward()
        started = bool(self.densities.any())
        if started and not learns:
            return self.densities
        counts = counts.to(self.densities)
        fresh = counts / counts.sum(1, keepdim=True)
        if not learns:
            return fresh
        self.densities.copy_(MEMORY * self.densities + (1 - MEMORY) * fresh if started else fresh)
        return self.densities

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TwoGroups":
        """Move or cast the densities, but not below float32."""
        with self._lock, torch.inference_mode(False):
            super()._apply(cast_at_least_float32(fn), recurse)
        return self


def outlier_probability(densities: Float[Tensor, "3 bins"]) -> tuple[Float[Tensor, " bins"], float]:
    """Estimate P(outlier) in every bin, decreasing from left to right, and the rate of outliers.

    Args:
        densities: densities of the observed scores, of the strangers' null and of the residents' null, on the CPU.
    """
    observed, stranger, resident = densities
    shares = outlier_shares(densities)
    rate = min(sum(shares), 1.0)
    outliers = (shares[0] * stranger + shares[1] * resident) * min(1.0, HIGHEST_RATE / max(rate, HIGHEST_RATE))
    nothing = torch.finfo(observed.dtype).eps
    ratio = (outliers / observed.clamp_min(nothing)).clamp(max=1 / nothing)
    return falling(ratio, observed + nothing).clamp(0, 1), rate


def outlier_shares(densities: Float[Tensor, "3 bins"]) -> tuple[float, float]:
    """Estimate which shares of the scores are strangers' and residents', where inliers have no mass.

    Args:
        densities: as for `outlier_probability`.
    """
    observed, stranger, resident = densities
    lower_tail = stranger.cumsum(0) <= 0.5 * stranger.sum()
    return nonnegative_shares(observed[lower_tail], stranger[lower_tail], resident[lower_tail])


def nonnegative_shares(target: Tensor, first: Tensor, second: Tensor) -> tuple[float, float]:
    """Solve target ≈ a · first + b · second by least squares under a, b ≥ 0."""
    aa, ab, bb = float(first @ first), float(first @ second), float(second @ second)
    at, bt = float(first @ target), float(second @ target)
    determinant = aa * bb - ab * ab
    candidates = [(max(at / aa, 0.0) if aa else 0.0, 0.0), (0.0, max(bt / bb, 0.0) if bb else 0.0)]
    if determinant > 1e-9 * aa * bb:
        free = ((at * bb - bt * ab) / determinant, (bt * aa - at * ab) / determinant)
        if min(free) >= 0:
            return free
    return min(candidates, key=lambda ab: float((target - ab[0] * first - ab[1] * second).square().sum()))


def falling(values: Float[Tensor, " bins"], weights: Float[Tensor, " bins"]) -> Float[Tensor, " bins"]:
    """Fit a decreasing function by weighted least squares (isotonic regression).

    This is the closed form, a minimum over starts of the maximum over ends (Robertson, Wright and Dykstra, *Order
    Restricted Statistical Inference*, 1988, section 1.4), for all pairs of bins at once.
    """
    mass = torch.cat([weights.new_zeros(1), weights.cumsum(0)])
    total = torch.cat([weights.new_zeros(1), (weights * values).cumsum(0)])
    span = mass[None, 1:] - mass[:-1, None]
    mean = ((total[None, 1:] - total[:-1, None]) / span.clamp_min(torch.finfo(span.dtype).tiny)).triu()
    ends_after = mean.masked_fill(torch.ones_like(mean).tril(-1).bool(), -math.inf).flip(1).cummax(1).values.flip(1)
    return ends_after.masked_fill(torch.ones_like(mean).tril(-1).bool(), math.inf).min(0).values


def histograms(position: Float[Tensor, "views batch *others"]) -> Int64[Tensor, "batch bins"]:
    """Count the scores of each image in `BINS` bins of [0, 1].

    Each score counts as `PARTS`, divided between its two nearest bins, so that rounding moves no whole score. The
    counts are integers, whose sum depends neither on the order nor on the number of ranks.

    Args:
        position: scores, mapped to [0, 1] by `Scores.position`; the nulls have one for each other image.
    """
    images = position.shape[1]
    left, beyond = _between_bins(position.detach().transpose(0, 1).reshape(images, -1))
    right_share = (beyond * PARTS).round().long()
    cell = (left + BINS * torch.arange(images, device=left.device).unsqueeze(1)).flatten()
    counts = right_share.new_zeros(images * BINS).index_add_(0, cell, (PARTS - right_share).flatten())
    return counts.index_add_(0, cell + 1, right_share.flatten()).unflatten(0, (images, BINS))


def _interpolate(of_bin: Float[Tensor, " bins"], position: Tensor) -> Tensor:
    left, beyond = _between_bins(position)
    return torch.lerp(of_bin[left], of_bin[left + 1], beyond)


def _between_bins(position: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the bin to the left of a score, and the score's place between that bin's centre and the next one's."""
    place = (position * BINS - 0.5).clamp(0, BINS - 1)
    left = place.floor().long().clamp(max=BINS - 2)
    return left, place - left


def _check_densities(module: TwoGroups, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Require, before a state dict is loaded, that its densities are not negative or NaN.

    Raises:
        ValueError: some are.
    """
    densities = state.get(f"{prefix}densities")
    if isinstance(densities, Tensor) and not densities.is_meta and not bool((densities >= 0).all()):
        raise ValueError(f"{prefix}densities has negative or NaN entries; the file is damaged, load another")


@cache
def smoothing() -> Float[Tensor, "bins bins"]:
    """Return the matrix that smooths histograms, `counts @ smoothing()`, in float64 on the CPU."""
    with torch.inference_mode(False):
        return _gaussian_band(BINS, SMOOTHING).float().double()


def _gaussian_band(size: int, deviation: float) -> Tensor:
    places = torch.arange(size, dtype=torch.float64, device="cpu")
    band = (-(places[:, None] - places).square() / (2 * deviation**2)).exp()
    return band / band.sum(1, keepdim=True)
