"""Top-1 accuracy of an encoder in per cent, rounded for a line of results."""

from uota.data import Source
from uota.encoders.encoder import Encoder
from uota.evaluation import Features, encoder_features, evaluate_knn, evaluate_linear
from uota.views import ViewPreset


def accuracy(encoder: Encoder, train: Source, test: Source, preset: ViewPreset) -> dict[str, float]:
    """Evaluate an encoder, which is left in eval mode."""
    return top1(*(encoder_features(encoder, source, preset) for source in (train, test)))


def top1(train: Features, test: Features) -> dict[str, float]:
    """Evaluate features with a linear classifier and with kNN."""
    return {
        "linear": round(evaluate_linear(train, test).top1, 2),
        "knn": round(evaluate_knn(train, test).top1, 2),
    }
