"""Which view predicts which: the rows of a loss's terms."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairs:
    """Row r of a loss's terms is view `predictor[r]` against view `target[r]`."""

    predictor: list[int]
    target: list[int]


def pairs_between(predictors: Iterable[int], targets: Iterable[int]) -> Pairs:
    """Every predictor against every target that is another view, target by target."""
    among = list(predictors)
    pairs = [(p, t) for t in targets for p in among if p != t]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def ordered_pairs(predictors: int, targets: int) -> Pairs:
    """Every view of the first `predictors` against every other of the first `targets`, target by target."""
    return pairs_between(range(predictors), range(targets))


def all_pairs(predictors: int, targets: int) -> Pairs:
    """Every view of the first `predictors` against every one of the first `targets`, itself too."""
    pairs = [(p, t) for t in range(targets) for p in range(predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])


def unordered_pairs(predictors: int, targets: int) -> Pairs:
    """Each two views once, of which one is among the first `targets`, target by target."""
    pairs = [(p, t) for t in range(targets) for p in range(t + 1, predictors)]
    return Pairs([p for p, _ in pairs], [t for _, t in pairs])
