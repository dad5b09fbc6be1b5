"""Unreduced loss terms as pure functions, and `ViewWeights`, the one place where they are weighted and averaged."""

from uota.losses.cross_correlation import cross_correlation_loss
from uota.losses.info_nce import info_nce_terms, joint_contrastive_terms
from uota.losses.nce import nce_terms
from uota.losses.negative_cosine import negative_cosine_terms
from uota.losses.nt_xent import nt_xent_terms
from uota.losses.pairs import Pairs, all_pairs, ordered_pairs, pairs_between, unordered_pairs
from uota.losses.patch_prediction import patch_prediction_terms
from uota.losses.swapped_prediction import swapped_prediction_terms
from uota.losses.weights import Side, ViewWeights

__all__ = [
    "Pairs",
    "Side",
    "ViewWeights",
    "all_pairs",
    "cross_correlation_loss",
    "info_nce_terms",
    "joint_contrastive_terms",
    "nce_terms",
    "negative_cosine_terms",
    "nt_xent_terms",
    "ordered_pairs",
    "pairs_between",
    "patch_prediction_terms",
    "swapped_prediction_terms",
    "unordered_pairs",
]
