"""Loss terms, unreduced, one per pair of views and image; and the one place that weighs and averages them."""

from uota.losses.nt_xent import nt_xent_terms
from uota.losses.pairs import Pairs, ordered_pairs
from uota.losses.swapped_prediction import swapped_prediction_terms
from uota.losses.weighted import weighted_mean

__all__ = ["Pairs", "nt_xent_terms", "ordered_pairs", "swapped_prediction_terms", "weighted_mean"]
