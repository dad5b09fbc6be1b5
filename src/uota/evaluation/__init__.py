"""Evaluation of encoders (without projector) on labelled images, frozen or fine-tuned."""

from uota.evaluation.features import Features, encoder_features, pixel_features
from uota.evaluation.knn import evaluate_knn
from uota.evaluation.linear import evaluate_linear

__all__ = ["Features", "encoder_features", "evaluate_knn", "evaluate_linear", "pixel_features"]
