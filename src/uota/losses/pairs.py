"""Which view predicts which: the rows of a loss's terms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pairs:
    """Row r of a loss's terms is view `predictor[r]` against view `target[r]`."""

    predictor: list[int]
    target: list[int]


def ordered_pairs(predictors: int, targets: int) -> Pairs:
    """Every view of the first `predictors` against every other of the first `targets`, target by target."""
    pairs = [(p, t) for t in range(targets) for p in range(predictors) if p != t]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def all_pairs(predictors: int, targets: int) -> Pairs:
    """Every view of the first `predictors` against every one of the first `targets`, itself too."""
    pairs = [(p, t) for t in range(targets) for p in range(predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def unordered_pairs(predictors: int, targets: int) -> Pairs:
    """The same, each two views once."""
    pairs = [(p, t) for t in range(targets) for p in range(t + 1, predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])
