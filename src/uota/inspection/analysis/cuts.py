"""Cuts: views beyond a threshold of some augmentation, whether more of them are flagged than of others, and how many.

The permutation test pairs the augmentations of each image's views with the flags of another image's views. As
augmentations are drawn independently of the images, all such pairings are equally likely if augmentations do not
matter, also where the flagged views gather in a few images. The cut is chosen anew in each pairing, so the choice among
many thresholds is part of the test.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int64
from numpy import ndarray

from uota.inspection.analysis.causes import resampled_images
from uota.inspection.analysis.flagged import MIN_FLAGGED

# Candidate cuts, as the shares of views that they drop.
DROPS = np.linspace(0.02, 0.36, 35)
# Permutations of a test, of which some are made at a time. A test ends early with more than this share of them at least
# as large as what was observed: its p-value is then larger, too, and no advice could follow from it.
PERMUTATIONS, AT_ONCE, TOO_LARGE = 1000, 100, 0.05
# If none of n views is flagged, up to 3 / n may be, with 95 % confidence (Hanley and Lippman-Hand, JAMA 1983).
RULE_OF_THREE = 3


@dataclass(frozen=True)
class Cut:
    """How many views are flagged among those beyond a threshold (dropped) and among the others (kept).

    Attributes:
        dropped, kept: numbers of views.
        flagged_dropped, flagged_kept: numbers of flagged views among them.
        lower, upper: 95 % interval of the risk ratio.
    """

    dropped: int
    kept: int
    flagged_dropped: int
    flagged_kept: int
    lower: float
    upper: float

    @property
    def risk_ratio(self) -> float:
        """Share of the dropped views that are flagged, divided by that of the others."""
        return self.share_dropped / self.share_kept if self.flagged_kept else np.inf

    @property
    def share_dropped(self) -> float:
        """Share of the dropped views that are flagged."""
        return self.flagged_dropped / self.dropped

    @property
    def share_kept(self) -> float:
        """Share of the other views that are flagged."""
        return self.flagged_kept / self.kept

    @property
    def gain(self) -> float:
        """Share of the flagged views that are dropped, minus that of the others that are."""
        flagged = self.flagged_dropped + self.flagged_kept
        unflagged = self.dropped + self.kept - flagged
        return self.flagged_dropped / flagged - (self.dropped - self.flagged_dropped) / max(unflagged, 1)


def candidate_thresholds(
    harm: Float[ndarray, "views images"], counted: Bool[ndarray, "views images"], binary: bool
) -> Float[ndarray, " thresholds"]:
    """Return the thresholds that drop the shares `DROPS` of the counted views, ascending; one half if binary."""
    return np.array([0.5]) if binary else np.unique(np.quantile(harm[counted], 1 - DROPS))


def best_threshold(
    harm: Float[ndarray, "views images"],
    flagged: Bool[ndarray, "views images"],
    counted: Bool[ndarray, "views images"],
    thresholds: Float[ndarray, " thresholds"],
    seed: int = 0,
) -> tuple[float, float]:
    """Choose the cut that drops most of the flagged views and fewest of the others; and test whether it drops more.

    The statistic is the largest share of the flagged views dropped, minus that of all views dropped, over the
    thresholds that drop at least `MIN_FLAGGED` flagged views.

    Args:
        harm: harm of each view.
        flagged: flagged views, all of which are counted.
        counted: which views count.
        thresholds: candidates, ascending; views whose harm is above one are dropped.
        seed: seed of the permutations.

    Returns:
        The threshold and the p-value of the permutation test.
    """
    level = np.where(counted, np.searchsorted(thresholds, harm), -1)
    images = np.arange(harm.shape[1], dtype=np.int32)
    observed = _gains(level, flagged, images[None], len(thresholds))[0]
    random, as_large, made = np.random.default_rng(seed), 0, 0
    while made < PERMUTATIONS and as_large <= TOO_LARGE * PERMUTATIONS:
        pairings = random.permuted(np.tile(images, (AT_ONCE, 1)), axis=1)
        as_large += int((_gains(level, flagged, pairings, len(thresholds)).max(1) >= observed.max()).sum())
        made += AT_ONCE
    return float(thresholds[observed.argmax()]), (1 + as_large) / (1 + made)


def _gains(
    level: Int64[ndarray, "views images"],
    flagged: Bool[ndarray, "views images"],
    image_of: Int[ndarray, "pairings images"],
    thresholds: int,
) -> Float[ndarray, "pairings thresholds"]:
    """Compute the share of flagged views dropped minus that of all views dropped, for each pairing and threshold.

    Args:
        level: number of thresholds below each view's harm; -1: the view does not count.
        flagged: flagged views.
        image_of: the image whose augmentations each image's flags are paired with.
        thresholds: number of thresholds.
    """
    view, image = flagged.nonzero()
    cell = level[view, image_of[:, image]] + 1 + (thresholds + 2) * np.arange(len(image_of))[:, None]
    of_level = np.bincount(cell.flatten(), minlength=len(image_of) * (thresholds + 2)).reshape(len(image_of), -1)
    above = of_level[:, :1:-1].cumsum(1)[:, ::-1]
    all_above = np.bincount(level[level >= 0], minlength=thresholds + 1)[:0:-1].cumsum()[::-1]
    counted = np.maximum(of_level[:, 1:].sum(1, keepdims=True), 1)
    return np.where(above >= MIN_FLAGGED, above / counted - all_above / (level >= 0).sum(), -np.inf)


def measure_cut(
    harm: Float[ndarray, "views images"],
    flagged: Bool[ndarray, "views images"],
    counted: Bool[ndarray, "views images"],
    threshold: float,
    seed: int = 0,
) -> Cut | None:
    """Count the views on both sides of a threshold, with the ratio's interval by a bootstrap over whole images.

    If none of the kept views is flagged, the interval has no upper end, and the lower one supposes that three are.

    Args:
        harm: harm of each view.
        flagged: flagged views, all of which are counted.
        counted: which views count.
        threshold: views whose harm is above it are dropped.
        seed: seed of the bootstrap.

    Returns:
        The counts; None if all counted views are on one side of the threshold.
    """
    above, below = counted & (harm > threshold), counted & (harm <= threshold)
    if not above.any() or not below.any():
        return None
    by_image = np.stack([above.sum(0), below.sum(0), (above & flagged).sum(0), (below & flagged).sum(0)], -1)
    dropped, kept, flagged_dropped, flagged_kept = (int(total) for total in by_image.sum(0))
    resampled = (resampled_images(harm.shape[1], seed) @ by_image).T
    none_kept = flagged_kept == 0
    few = RULE_OF_THREE * resampled[1] / kept if none_kept else resampled[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (resampled[2] / resampled[0]) / (few / resampled[1])
    lower, upper = np.nanquantile(ratios, (0.025, 0.975), method="higher")
    return Cut(dropped, kept, flagged_dropped, flagged_kept, float(lower), np.inf if none_kept else float(upper))
