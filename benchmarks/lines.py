"""Results of many runs: a line of JSON each, appended as the run ends; runs that have a line are not made again."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from subprocess import run as run_command
from typing import Any

import torch
from threadpoolctl import threadpool_limits

RUNS_AT_ONCE = 2


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What there is so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def make_missing(
    path: Path, runs: Iterable[Any], measure: Callable[[Any], dict[str, Any]], at_most: int | None = None
) -> None:
    """Measure the runs that have no line yet, two at a time on a core each.

    Args:
        path: of the lines.
        runs: NamedTuples, whose fields stand in their lines.
        measure: makes a run's line.
        at_most: so many runs; None: all.
    """
    rows, commit = read_lines(path), _commit()
    missing = (run for run in runs if not any(is_of(run, row) for row in rows))
    missing = list(islice(missing, at_most))
    with ProcessPoolExecutor(RUNS_AT_ONCE, get_context("spawn"), initializer=use_one_core) as pool:
        for number, made in enumerate(as_completed([pool.submit(measure, run) for run in missing]), 1):
            line = json.dumps(made.result() | {"commit": commit})
            with path.open("a") as file:
                file.write(line + "\n")
            print(f"{number} of {len(missing)}: {line}", flush=True)


def _commit() -> str:
    """What the code was that makes the lines; empty outside a repository."""
    command = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    return run_command(command, capture_output=True, text=True, check=False).stdout.strip()


def use_one_core() -> None:
    """For the calling process: torch, and the linear algebra of scikit-learn, which is slower on two that are busy."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def is_of(run: Any, row: dict[str, Any]) -> bool:
    """Whether a line is of this run."""
    return all(row[name] == value for name, value in run._asdict().items())
