"""Pairs of views, of which one predicts the other: the rows of a loss's terms."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairs:
    """Row r of a loss's terms belongs to view `predictor[r]` as predictor and view `target[r]` as target."""

    predictor: list[int]
    target: list[int]


def pairs_between(predictors: Iterable[int], targets: Iterable[int]) -> Pairs:
    """Pair each predictor with each target that is another view, ordered by target."""
    among = list(predictors)
    pairs = [(p, t) for t in targets for p in among if p != t]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def ordered_pairs(predictors: int, targets: int) -> Pairs:
    """Pair each of the first `predictors` views with each other one of the first `targets`, ordered by target."""
    return pairs_between(range(predictors), range(targets))


def all_pairs(predictors: int, targets: int) -> Pairs:
    """Pair each of the first `predictors` views with each of the first `targets`, itself included."""
    pairs = [(p, t) for t in range(targets) for p in range(predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def unordered_pairs(predictors: int, targets: int) -> Pairs:
    """Pair any two views once if one of them is among the first `targets`, ordered by target."""
    pairs = [(p, t) for t in range(targets) for p in range(t + 1, predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])
