"""Runs of `benchmarks.learns` on a machine that is lent for minutes: their order, and which still fit."""

from collections.abc import Callable, Sequence
from itertools import product
from statistics import mean
from typing import Any, NamedTuple

from benchmarks.learns import SEEDS, Run, runs_of

# Methods whose training changed last, which come first.
CHANGED = ("simsiam", "byol", "barlow_twins", "moco_v1", "moco_v2", "jcl", "infomin", "swav", "simclr", "cmc")
# Besides the training: imports, data and both evaluations, on one core.
AROUND = 40.0
UNKNOWN = 250.0  # seconds of a training that was never measured


class Job(NamedTuple):
    """A run with the code of a tree, `new` or `base`."""

    tree: str
    run: Run


def plan(device: str, with_base: bool, costs: dict[str, float]) -> list[Job]:
    """Every run on a device, the most important first, and among equals the longest first.

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
    """Processor seconds of each method's run on one core, from earlier lines; of several, the longest."""
    costs: dict[str, float] = {}
    for row in rows:
        if row["arm"] != "untrained":
            costs[row["method"]] = max(costs.get(row["method"], 0.0), row["cpu_seconds"] + AROUND)
    return costs


def expected_seconds(method: str, ended: Sequence[tuple[Job, float]], costs: dict[str, float], pace: float) -> float:
    """Expected seconds of a run here: those of the method's slowest run, else its cost at the mean pace of all runs.

    Args:
        method: of the run.
        ended: runs here, with their seconds.
        costs: of each method.
        pace: seconds that one second of the costs takes, while none has ended.
    """
    own = [seconds for job, seconds in ended if job.run.method == method]
    if own:
        return max(own)
    paces = [seconds / costs.get(job.run.method, UNKNOWN) for job, seconds in ended]
    return costs.get(method, UNKNOWN) * (mean(paces) if paces else pace)


def first_that_fits(jobs: Sequence[Job], left: float, expected: Callable[[str], float]) -> Job | None:
    """The first job whose method is expected to take no more than what is left; None: there is none."""
    return next((job for job in jobs if expected(job.run.method) <= left), None)
