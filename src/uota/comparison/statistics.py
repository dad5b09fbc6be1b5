"""Means over seeds and paired differences, with 95 % intervals from Student's t distribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy import stats

CONFIDENCE = 0.95
# Smaller p-values are shown as below this one.
MIN_P = 0.001


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half the width of its 95 % interval, which is NaN for one seed."""

    mean: float
    half: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate the mean from one value per seed."""
        count = len(values)
        if count < 2:
            return cls(mean(values), float("nan"), count)
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
        return cls(mean(values), quantile * stdev(values) / count**0.5, count)

    def __str__(self) -> str:
        """Format as 55.5 ± 0.8."""
        return f"{self.mean:.1f}" + (f" ± {self.half:.1f}" if self.count > 1 else "")


@dataclass(frozen=True)
class Gain:
    """The mean of paired differences, half its 95 % interval, and the paired test's p-value; NaN for one pair."""

    mean: float
    half: float
    p: float
    pairs: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> "Gain":
        """Estimate the gain from one difference per seed."""
        estimate = Estimate.of(differences)
        return cls(estimate.mean, estimate.half, _p_value(differences), estimate.count)

    def __str__(self) -> str:
        """Format as +1.2 ± 0.3, p 0.02."""
        if self.pairs < 2:
            return f"{self.mean:+.1f}"
        p = f"p < {MIN_P}" if self.p < MIN_P else f"p {self.p:.2g}"
        return f"{self.mean:+.1f} ± {self.half:.1f}, {p}"


def _p_value(differences: Sequence[float]) -> float:
    """Return the p-value of the two-sided paired t-test."""
    count = len(differences)
    if count < 2:
        return float("nan")
    error = stdev(differences) / count**0.5
    if error == 0:
        return float(not any(differences))
    return float(2 * stats.t.sf(abs(mean(differences)) / error, count - 1))
