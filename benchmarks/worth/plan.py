"""All runs, in the order in which they are made: first what says most."""

from collections.abc import Iterator, Sequence

from benchmarks.worth.arms import QS, TAUS
from benchmarks.worth.run import Run

SEEDS = (0, 1, 2)
# Where three left intervals that say little.
MORE_SEEDS = (3, 4)
LEARNED = ("learned-thumbnails", "learned-features")
MAIN = ("none", "paper", *LEARNED, "oracle")
SAMPLED = ("sampled", "sampled-and-weighed")
OTHER_WEIGHTS = ("learned-both", "two_groups", "learned-embeddings", "ess-0.9")
CONTROLS = ("shuffled", "auxiliary", "milder-crops")
PAPERS = tuple(f"paper-{tau}" for tau in TAUS)
OTHERS = ("byol", "barlow_twins", "simsiam", "moco_v2", "simclr")


def plan() -> Iterator[Run]:
    """SwAV's table, then its controls, the other methods, longer training, and robust losses."""
    first = ("clean", "scenes", "injected-25")
    yield from _grid(first, ("swav",), MAIN)
    yield from _grid(("drawings", "injected-10", "injected-25-batch", "injected-10-batch"), ("swav",), MAIN)
    yield from _grid(("scenes", "injected-25"), ("swav",), ("none", "oracle", *LEARNED), MORE_SEEDS)
    yield from _grid(("scenes-long", "injected-25-long"), ("swav",), ("none", "learned-features", "sampled", "oracle"))
    yield from _grid(first, ("swav",), SAMPLED + CONTROLS + OTHER_WEIGHTS)
    yield from _grid(first, OTHERS, MAIN)
    yield from _grid(("injected-25", "scenes"), ("swav",), PAPERS)
    yield from _grid(("injected-25", "clean"), ("simclr", "moco_v2"), tuple(f"rince-{q}" for q in QS))


def _grid(
    conditions: Sequence[str], methods: Sequence[str], arms: Sequence[str], seeds: Sequence[int] = SEEDS
) -> Iterator[Run]:
    """Seed by seed, so that a table is complete before it is precise."""
    for method in methods:
        for seed in seeds:
            for condition in conditions:
                # There is no truth about crops of drawings, and none about clean images that an oracle could use.
                known = [arm for arm in arms if arm != "oracle" or condition not in ("clean", "drawings")]
                yield from (Run(condition, method, arm, seed) for arm in known)
