"""Arbitration: weights for views by how likely they still show their image. Needs torch and jaxtyping only.

An arbiter is a pair of independent choices: a **score** (does this view show what its image's other views show?) and
a **strength** (how much a score changes a weight). The UOTA paper (Wang et al., NeurIPS 2021) is one such pair,
`Mahalanobis` × `Temperature`.
"""

from uota.arbitration.arbiter import PRESETS, Arbiter, arbitrate
from uota.arbitration.result import Arbitration, Scores, Weighing, effective_sample_size
from uota.arbitration.sampler import Sampled, ViewSampler
from uota.arbitration.scores import CohortScore, Contrast, LearnedContrast, Mahalanobis, ScoreInBatches
from uota.arbitration.strengths import EffectiveSampleSize, Temperature, TwoGroups
from uota.arbitration.thumbnails import thumbnails

__all__ = [
    "PRESETS",
    "Arbiter",
    "Arbitration",
    "CohortScore",
    "Contrast",
    "EffectiveSampleSize",
    "LearnedContrast",
    "Mahalanobis",
    "Sampled",
    "ScoreInBatches",
    "Scores",
    "Temperature",
    "TwoGroups",
    "ViewSampler",
    "Weighing",
    "arbitrate",
    "effective_sample_size",
    "thumbnails",
]
