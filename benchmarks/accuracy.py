"""Top-1 of an encoder, as the lines of results have it."""

from uota.data import Source
from uota.encoders.encoder import Encoder
from uota.evaluation import Features, encoder_features, evaluate_knn, evaluate_linear
from uota.views import ViewPreset


def accuracy(encoder: Encoder, train: Source, test: Source, preset: ViewPreset) -> dict[str, float]:
    """Of its features; the encoder is in eval mode afterwards."""
    return top1(*(encoder_features(encoder, source, preset) for source in (train, test)))


def top1(train: Features, test: Features) -> dict[str, float]:
    """Linear and kNN, in per cent."""
    return {
        "linear": round(evaluate_linear(train, test).top1, 2),
        "knn": round(evaluate_knn(train, test).top1, 2),
    }
