"""Strengths: how much a score changes a weight. Each class maps `Scores` to a `Weighing`."""

from uota.arbitration.strengths.effective_sample_size import EffectiveSampleSize
from uota.arbitration.strengths.temperature import Temperature
from uota.arbitration.strengths.two_groups import TwoGroups

__all__ = ["EffectiveSampleSize", "Temperature", "TwoGroups"]
