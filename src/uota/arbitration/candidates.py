"""Candidates that judge views by frozen features of several depths, and selection among them in two stages."""

from collections.abc import Callable, Sequence

from uota.arbitration.scores import CohortScore, Contrast
from uota.arbitration.selection import Candidate, Features, Selection, frozen, select, unsuspected

# Combinations of depths that are tried; the mean of the last two feature maps was the best on most pictures.
COMBINATIONS = (("last", "before"), ("output", "last", "before"), ("output", "last"), ("output",))
TEMPERATURES = (0.1, 0.3)
# Training steps of a head on frozen features.
STEPS = (25, 100)
# Images on which candidates are compared.
SAMPLE = 512


def frozen_candidates() -> list[Candidate]:
    """Return the candidates without a trained head; the first is the one to take without a comparison."""
    by_cohort = [frozen(parts, CohortScore()) for parts in COMBINATIONS]
    return by_cohort + [frozen(COMBINATIONS[1], Contrast(temperature)) for temperature in TEMPERATURES]


def with_heads(best: Candidate, steps: Sequence[int] = STEPS) -> list[Candidate]:
    """Return a candidate with heads trained for these numbers of steps; none if it is one that learns already."""
    return [] if best.learns else [frozen(best.parts, best.score, each) for each in steps if each]


def select_in_two_stages(
    candidates: Sequence[Candidate],
    second: Callable[[Candidate], list[Candidate]],
    features: Features,
    seed: int = 0,
) -> Selection:
    """Select a candidate, and then among those that follow from it.

    Args:
        candidates: of the first stage.
        second: those of the second stage, given the best of the first; none: the first stage decides.
        features: features of the views of some images, by kind.
        seed: as for `select`.

    Raises:
        ValueError: the images are too few.
    """
    kept = unsuspected([each for each in candidates if not each.learns], features, seed)
    first = select(candidates, features, seed, kept)
    further = second(first.best)
    if not further:
        return first
    # one exchange tells what training is worth, which takes most of the time
    last = select(further, features, seed, kept, repeats=1)
    found = sorted((first.found | last.found).items(), key=lambda pair: -pair[1])
    return Selection(last.best, dict(found))
