"""The estimated share of outliers among the views, with an interval."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm
from torch import Tensor

from uota.arbitration.strengths.two_groups import outlier_shares, smoothing
from uota.inspection.analysis.resampling import resampled_images

# Ends of a 95 % interval, as quantiles of the bootstrap distribution.
ENDS = np.array([0.025, 0.975])
# Largest number of groups of images that the jackknife leaves out in turn.
GROUPS = 200
# Chance that an interval's upper end is too low where nothing at all is found.
TAIL = 0.025
# A lower end of fewer views than this is 0.
MIN_VIEWS = 0.5


@dataclass(frozen=True)
class Share:
    """The share of outliers in [0, 1], and the ends of its 95 % interval.

    Attributes:
        estimate: the two-groups model's estimate.
        low, high: ends of the interval; `low` is 0 if it is less than half a view.
    """

    estimate: float
    low: float
    high: float

    @property
    def none(self) -> bool:
        """Whether the interval holds 0, so that the views may be free of outliers."""
        return self.low == 0


def share_of_counts(counts: Float[Tensor, "images 3 bins"], views: int, seed: int = 0) -> Share:
    """Estimate the share of outliers with the two-groups model, and its interval by a bootstrap over whole images.

    The interval is bias-corrected and accelerated (BCa; Efron, *Better bootstrap confidence intervals*, JASA 1987), as
    percentiles of the skewed distribution of small shares cover too rarely. Least squares clip the share at 0, so close
    to 0 the interval is one-sided and starts at 0; if the estimate itself is 0, its bias is unknown and the interval
    ends at the plain percentile. It never ends below the Clopper-Pearson bound for no outlier among the views, 1 −
    0.025^(1/views), since resampling images without outliers finds none. The interval covers the sampling of images and
    of their views, not an error of the model: where a score cannot separate outliers from inliers, the share is too
    large and so is its lower end.

    Args:
        counts: each image's counts of scores, as `counts_by_image` returns them.
        views: number of views that were counted.
        seed: seed of the bootstrap.
    """
    images = len(counts)
    resamples = torch.from_numpy(resampled_images(images, seed)).to(counts)
    resampled = _rates((resamples @ counts.flatten(1)).unflatten(1, counts.shape[1:]))
    total = counts.sum(0, dtype=torch.float64)
    estimate = float(_rates(total[None])[0])
    groups = torch.from_numpy(np.random.default_rng(seed).permutation(images)).tensor_split(min(images, GROUPS))
    left_out = _rates(torch.stack([total - counts[group].sum(0) for group in groups]))
    low, high = _bca(estimate, resampled, left_out) if estimate > 0 else np.quantile(resampled, ENDS)
    return Share(
        estimate, float(low) if low * views >= MIN_VIEWS else 0.0, max(float(high), 1 - TAIL ** (1 / max(views, 1)))
    )


def _rates(counts: Float[Tensor, "samples 3 bins"]) -> Float[ndarray, " samples"]:
    counts = counts.double()
    densities = counts / counts.sum(-1, keepdim=True) @ smoothing(counts.device)
    return outlier_shares(densities).sum(-1).clamp(max=1).numpy()


def _bca(
    estimate: float, resampled: Float[ndarray, " resamples"], left_out: Float[ndarray, " groups"]
) -> Float[ndarray, " 2"]:
    """Compute the ends of the BCa interval (Efron 1987, equations 2.3 and 6.6), as `scipy.stats.bootstrap` does."""
    number = len(resampled)
    below = ((resampled < estimate).sum() + 0.5 * (resampled == estimate).sum()) / number
    bias = norm.ppf(np.clip(below, 0.5 / number, 1 - 0.5 / number))
    influence = left_out.mean() - left_out
    spread = (influence**2).sum() ** 1.5
    acceleration = (influence**3).sum() / (6 * spread) if spread > 0 else 0.0
    shifted = bias + norm.ppf(ENDS)
    return np.quantile(resampled, norm.cdf(bias + shifted / (1 - acceleration * shifted)))
