"""Runs of `benchmarks.learns` on a machine that is there for minutes: in which order, and which still fit."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from benchmarks.learns import SEEDS, Run, runs_of

# Methods whose training changed last, which are wanted first.
CHANGED = ("simsiam", "byol", "barlow_twins", "moco_v1", "moco_v2", "jcl", "infomin", "swav", "simclr", "cmc")
# Besides the training: imports, data and both evaluations, on one core.
AROUND = 40.0
UNKNOWN = 250.0  # seconds of a training that was never measured


class Job(NamedTuple):
    """A run with the code of a tree, `new` or `base`."""

    tree: str
    run: Run


def plan(device: str, with_base: bool, costs: dict[str, float]) -> list[Job]:
    """Every run on a device, the most wanted first, and of those wanted alike the longest.

    Changed methods without an arbiter come first, of the new code and then of the base, then the other methods, then
    all with the learned arbiter.
    """
    trees = ("new", "base") if with_base else ("new",)
    jobs = [
        Job(tree, run._replace(device=device)) for tree, run in product(trees, runs_of([], SEEDS, ["none", "learned"]))
    ]

    def order(job: Job) -> tuple[bool, bool, bool, float]:
        run = job.run
        return run.arm != "none", run.method not in CHANGED, job.tree == "base", -costs.get(run.method, UNKNOWN)

    return sorted(jobs, key=order)


def costs_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Processor's seconds of each method's run on one core, by earlier lines; of several, the longest."""
    costs: dict[str, float] = {}
    for row in rows:
        if row["arm"] != "untrained":
            costs[row["method"]] = max(costs.get(row["method"], 0.0), row["cpu_seconds"] + AROUND)
    return costs


def first_that_fits(jobs: Sequence[Job], left: float, costs: dict[str, float], pace: float) -> Job | None:
    """The first job that is expected to end in time; None: no job is.

    Args:
        jobs: in their order.
        left: seconds.
        costs: of each method.
        pace: seconds that one second of the costs takes here.
    """
    return next((job for job in jobs if pace * costs.get(job.run.method, UNKNOWN) <= left), None)


def pace_of(ended: Sequence[tuple[Job, float]], costs: dict[str, float], expected: float) -> float:
    """How much longer than their costs runs took here, the slowest of them; what was expected while none has ended."""
    return max((seconds / costs.get(job.run.method, UNKNOWN) for job, seconds in ended), default=expected)
