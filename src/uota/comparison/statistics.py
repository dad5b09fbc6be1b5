"""Means over seeds and paired differences, with 95 % intervals from Student's t distribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

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
        from scipy import stats  # takes long to import

        if len(values) < 2 or _are_equal(values):  # without a spread, SciPy divides by zero
            return cls(mean(values), 0.0 if len(values) > 1 else float("nan"), len(values))
        low, high = stats.t.interval(CONFIDENCE, len(values) - 1, scale=stats.sem(values))
        return cls(mean(values), float(high - low) / 2, len(values))

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
    """Return the p-value of the two-sided paired t-test, which is the one-sample t-test of the differences."""
    from scipy import stats

    if len(differences) < 2:
        return float("nan")
    if _are_equal(differences):
        return float(not any(differences))
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def _are_equal(values: Sequence[float]) -> bool:
    return len(set(values)) == 1
