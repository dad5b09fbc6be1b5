"""All runs in their order, the most informative first."""

from collections.abc import Iterator, Sequence

from benchmarks.worth.arms import QS, TAUS
from benchmarks.worth.run import Run

SEEDS = (0, 1, 2)
# Added where the intervals of three seeds were too wide.
MORE_SEEDS = (3, 4)
# Explanations and long runs have one seed; with three seeds everything would take 18 hours.
ONCE = (0,)
TWICE = (0, 1)
LEARNED = ("learned-thumbnails", "learned-features")
MAIN = ("none", "paper", *LEARNED, "oracle")
# The default, with the lower and the upper bound.
DEFAULT = ("none", "learned-thumbnails", "oracle")
OTHER_WEIGHTS = ("sampled-and-weighed", "learned-both", "two_groups", "learned-embeddings", "ess-0.9")
# For conditions where the oracle gains and thumbnails do not.
OTHER_EYES = ("learned-features", "learned-both")
CONTROLS = ("shuffled", "auxiliary", "milder-crops")
PAPERS = tuple(f"paper-{tau}" for tau in TAUS)
ROBUST = tuple(f"rince-{q}" for q in QS)
OTHERS = ("byol", "barlow_twins", "simsiam", "moco_v2", "simclr")


def plan() -> list[Run]:
    """Return every run once."""
    return list(dict.fromkeys(_parts()))


def _parts() -> Iterator[Run]:
    """Yield the table of SwAV, longer training and controls, other remedies, then the other methods."""
    outliers = ("scenes", "injected-25")
    yield from _grid(("clean", *outliers), ("swav",), MAIN)
    yield from _grid(("drawings", "injected-10", "injected-25-batch"), ("swav",), DEFAULT)
    yield from _grid(outliers, ("swav",), ("none", *LEARNED, "oracle"), MORE_SEEDS)
    yield from _grid(("scenes-long", "injected-25-long"), ("swav",), DEFAULT, ONCE)
    yield from _grid(("clean", *outliers), ("swav",), ("sampled",))
    yield from _grid(("injected-25",), ("swav",), ("paper-released", *CONTROLS))
    yield from _grid(("scenes",), ("swav",), (*CONTROLS, "sampled-and-weighed"), ONCE)
    yield from _grid(("injected-25",), ("swav",), OTHER_WEIGHTS, ONCE)
    yield from _grid(("injected-25",), ("swav",), PAPERS, ONCE)
    yield from _grid(("injected-25",), ("simclr", "moco_v2"), ROBUST, ONCE)
    yield from _grid(("injected-25",), OTHERS, MAIN, ONCE)
    yield from _grid(("clean",), OTHERS, DEFAULT, ONCE)
    yield from _grid(outliers, OTHERS, DEFAULT)
    yield from _grid(("scenes",), ("simclr",), OTHER_EYES, TWICE)


def _grid(
    conditions: Sequence[str], methods: Sequence[str], arms: Sequence[str], seeds: Sequence[int] = SEEDS
) -> Iterator[Run]:
    """Yield runs seed by seed, so that a table is complete before it is precise."""
    for method in methods:
        for seed in seeds:
            for condition in conditions:
                # The oracle needs ground truth, which crops of drawings and clean images lack.
                known = [arm for arm in arms if arm != "oracle" or condition not in ("clean", "drawings")]
                yield from (Run(condition, method, arm, seed) for arm in known)
