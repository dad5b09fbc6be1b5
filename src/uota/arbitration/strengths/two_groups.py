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
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from uota.arbitration.inputs import detached_float
from uota.arbitration.result import Scores, Weighing, rescaled_to_mean_one
from uota.arbitration.state import Lock, cast_at_least_float32, in_backward, own_modes
from uota.distributed import sum_over_ranks
from uota.numerics import exact_device, wide

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
            counts = sum_over_ranks(torch.stack([_histogram(scores.position(kind)) for kind in kinds]))
            with self._lock:
                if not torch.compiler.is_compiling():
                    self.ready()
                device = exact_device(counts.device)
                densities = self._updated_densities(counts).to(device, torch.float64, copy=True)
            return weigh_by_densities(densities, scores)

    def ready(self) -> None:
        """Repair the densities if they were made in inference mode, or cast by a wrapper; no compiler can see that.

        Raises:
            ValueError: they have no values.
        """
        if self.densities.is_meta:
            raise ValueError(
                "the arbiter is on the meta device, where its densities have no values; "
                "make a new Arbiter and load its state"
            )
        if self.densities.is_inference() or self.densities.dtype != wide(self.densities.dtype):
            self.densities = detached_float(self.densities)

    def _updated_densities(self, counts: Int64[Tensor, "3 bins"]) -> Tensor:
        counts = counts.to(self.densities)
        fresh = counts / counts.sum(1, keepdim=True)
        started = self.densities.any()
        if in_backward() or not self.training:
            return torch.where(started, self.densities, fresh)
        mixed = MEMORY * self.densities + (1 - MEMORY) * fresh
        return self.densities.copy_(torch.where(started, mixed, fresh))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TwoGroups":
        """Move or cast the densities, but not below float32."""
        with self._lock, torch.inference_mode(False):
            super()._apply(cast_at_least_float32(fn), recurse)
        return self


def weigh_by_densities(densities: Float[Tensor, "3 bins"], scores: Scores) -> Weighing:
    """Weigh views by the densities of observed scores and of both nulls in float64, not yet smoothed."""
    # A compiler computes the matrix along with the rest, as it does not look into caches.
    band = _smoothing(densities.device) if torch.compiler.is_compiling() else smoothing(densities.device)
    of_bin, rate = outlier_probability(densities @ band)
    left, beyond = _between_bins(scores.position(scores.observed))
    of_bin = of_bin.to(scores.observed)
    probability = torch.lerp(of_bin[left], of_bin[left + 1], beyond)
    return Weighing(rescaled_to_mean_one(1 - probability), None, probability, rate)


def outlier_probability(densities: Float[Tensor, "3 bins"]) -> tuple[Float[Tensor, " bins"], Float[Tensor, ""]]:
    """Estimate P(outlier) in every bin, decreasing from left to right, and the rate of outliers.

    Args:
        densities: densities of the observed scores, of the strangers' null and of the residents' null.
    """
    observed, *nulls = densities
    shares = outlier_shares(densities)
    rate = shares.sum().clamp(max=1)
    outliers = (shares[0] * nulls[0] + shares[1] * nulls[1]) * (HIGHEST_RATE / rate.clamp_min(HIGHEST_RATE))
    nothing = torch.finfo(observed.dtype).eps
    ratio = (outliers / observed.clamp_min(nothing)).clamp(max=1 / nothing)
    return falling(ratio, observed + nothing).clamp(0, 1), rate


def outlier_shares(densities: Float[Tensor, "*samples 3 bins"]) -> Float[Tensor, "*samples 2"]:
    """Estimate which shares of the scores are strangers' and residents', where inliers have no mass.

    Args:
        densities: as for `outlier_probability`, of any number of samples.
    """
    stranger = densities[..., 1, :]
    lower_tail = stranger.cumsum(-1) <= 0.5 * stranger.sum(-1, keepdim=True)
    return nonnegative_shares(*(densities * lower_tail.unsqueeze(-2)).unbind(-2))


def nonnegative_shares(
    target: Float[Tensor, "*samples bins"],
    first: Float[Tensor, "*samples bins"],
    second: Float[Tensor, "*samples bins"],
) -> Float[Tensor, "*samples 2"]:
    """Solve target ≈ a · first + b · second by least squares under a, b ≥ 0."""
    moments = torch.stack([first, second], -2)
    (aa, ab), (_, bb) = (row.unbind(-1) for row in (moments @ moments.mT).unbind(-2))
    at, bt = (moments @ target.unsqueeze(-1)).squeeze(-1).unbind(-1)
    determinant = aa * bb - ab * ab
    solvable = determinant > 1e-9 * aa * bb
    free = torch.stack([at * bb - bt * ab, bt * aa - at * ab], -1) / _nonzero(determinant, solvable).unsqueeze(-1)
    # Otherwise one of them is 0, and the other solves its own equation.
    a, b = ((found / _nonzero(own, own > 0)).clamp_min(0) for found, own in ((at, aa), (bt, bb)))
    errors = [(target - share.unsqueeze(-1) * part).square().sum(-1) for share, part in ((a, first), (b, second))]
    by_first = errors[0] <= errors[1]
    alone = torch.stack([torch.where(by_first, a, 0.0), torch.where(by_first, 0.0, b)], -1)
    return torch.where((solvable & (free >= 0).all(-1)).unsqueeze(-1), free, alone)


def _nonzero(x: Tensor, is_known: Tensor) -> Tensor:
    """Replace a denominator by 1 where it is not known to be above 0."""
    return torch.where(is_known, x, 1.0)


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


def counts_by_image(
    scores: Scores, counted: Bool[Tensor, "views batch"] | None = None
) -> Int64[Tensor, "batch 3 bins"]:
    """Count each image's observed scores, and its scores under both nulls, in `BINS` bins.

    Args:
        scores: scores of a batch of at least three images.
        counted: views that count; None: all.
    """
    assert scores.nulls is not None
    batch = scores.observed.shape[1]
    first_bin = BINS * torch.arange(batch, device=scores.observed.device)[:, None]
    keep = 1 if counted is None else counted.unsqueeze(-1).long()
    counts = []
    for kind in (scores.observed.unsqueeze(-1), *scores.nulls()):
        left, right_share = _parts(scores.position(kind))
        counts.append(_sums(left + first_bin, keep * (PARTS - right_share), keep * right_share, batch * BINS))
    return torch.stack(counts).unflatten(1, (batch, BINS)).transpose(0, 1)


def _histogram(position: Tensor) -> Int64[Tensor, " bins"]:
    """Count each score as `PARTS`, divided between its two nearest bins, so that rounding moves no whole score.

    The counts are integers, whose sum depends neither on the order nor on the number of ranks.
    """
    left, right_share = _parts(position)
    return _sums(left, PARTS - right_share, right_share, BINS)


def _parts(position: Tensor) -> tuple[Tensor, Tensor]:
    left, beyond = _between_bins(position.detach())
    return left, (beyond * PARTS).round().long()


def _sums(left: Tensor, left_parts: Tensor, right_parts: Tensor, size: int) -> Int64[Tensor, " size"]:
    counts = left.new_zeros(size).index_add_(0, left.flatten(), left_parts.flatten())
    return counts.index_add_(0, left.flatten() + 1, right_parts.flatten())


def _between_bins(position: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the bin to the left of a score, and the score's place between that bin's centre and the next one's."""
    place = (position * BINS - 0.5).clamp(0, BINS - 1)
    left = place.floor().long().clamp(0, BINS - 2)  # from 0 on, as of NaN a whole number may be anything
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
def smoothing(device: torch.device) -> Float[Tensor, "bins bins"]:
    """Return the matrix that smooths histograms, `counts @ smoothing(counts.device)`, in float64."""
    with torch.inference_mode(False):
        return _smoothing(torch.device("cpu")).to(device)


def _smoothing(device: torch.device) -> Float[Tensor, "bins bins"]:
    places = torch.arange(BINS, dtype=torch.float64, device=device)
    band = (-(places[:, None] - places).square() / (2 * SMOOTHING**2)).exp()
    return (band / band.sum(1, keepdim=True)).float().double()
