"""Scores of views: does each show what the other views of its image show? Each class maps views to `Scores`."""

from uota.arbitration.scores.cohort import CohortScore
from uota.arbitration.scores.contrast import Contrast
from uota.arbitration.scores.in_batches import ScoreInBatches
from uota.arbitration.scores.learned import LearnedContrast
from uota.arbitration.scores.mahalanobis import Mahalanobis

__all__ = ["CohortScore", "Contrast", "LearnedContrast", "Mahalanobis", "ScoreInBatches"]
