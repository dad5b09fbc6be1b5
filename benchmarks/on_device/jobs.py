"""Schedule runs of `benchmarks.learns` on a machine that is available for minutes."""

from collections.abc import Callable, Sequence
from itertools import product
from statistics import mean
from typing import Any, NamedTuple

from benchmarks.learns import SEEDS, Run, runs_of

# Methods whose training changed last come first.
CHANGED = ("simsiam", "byol", "barlow_twins", "moco_v1", "moco_v2", "jcl", "infomin", "swav", "simclr", "cmc")
# Seconds for imports, data and both evaluations, on one core.
AROUND = 40.0
UNKNOWN = 250.0  # seconds of a training that was never measured


class Job(NamedTuple):
    """A run with the code of one tree, `new` or `base`."""

    tree: str
    run: Run


def plan(device: str, with_base: bool, costs: dict[str, float]) -> list[Job]:
    """Return all runs on a device, the most important first and equally important ones by their length.

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
    """Return the processor seconds of each method's longest earlier run on one core."""
    costs: dict[str, float] = {}
    for row in rows:
        if row["arm"] != "untrained":
            costs[row["method"]] = max(costs.get(row["method"], 0.0), row["cpu_seconds"] + AROUND)
    return costs


def expected_seconds(method: str, ended: Sequence[tuple[Job, float]], costs: dict[str, float], pace: float) -> float:
    """Return the expected seconds of a run: those of the method's slowest run here, else its cost at the mean pace.

    Args:
        method: method of the run.
        ended: finished runs, with their seconds.
        costs: seconds of each method on one core.
        pace: seconds per second of the costs, until a run has ended.
    """
    own = [seconds for job, seconds in ended if job.run.method == method]
    if own:
        return max(own)
    paces = [seconds / costs.get(job.run.method, UNKNOWN) for job, seconds in ended]
    return costs.get(method, UNKNOWN) * (mean(paces) if paces else pace)


def first_that_fits(jobs: Sequence[Job], left: float, expected: Callable[[str], float]) -> Job | None:
    """Return the first job that is expected to end in the time left, or None."""
    return next((job for job in jobs if expected(job.run.method) <= left), None)
