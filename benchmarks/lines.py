"""Results of many runs: one line of JSON per run, appended when it ends; runs that have a line are not repeated."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """Read the lines that a file has so far; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def make_missing(
    path: Path,
    runs: Iterable[Any],
    measure: Callable[[Any], dict[str, Any]],
    at_most: int | None = None,
    processes: int = RUNS_AT_ONCE,
) -> None:
    """Measure the runs that have no line yet, several at a time on one core each.

    Args:
        path: file of the lines.
        runs: NamedTuples, whose fields are part of their lines.
        measure: returns the line of a run.
        at_most: largest number of runs to make; None: all.
        processes: runs at a time; a single one runs in this process.
    """
    rows, commit = read_lines(path), _commit()
    missing = (run for run in runs if not any(is_of(run, row) for row in rows))
    missing = list(islice(missing, at_most))
    for number, made in enumerate(_measured(missing, measure, processes), 1):
        line = json.dumps(made | {"commit": commit})
        with path.open("a") as file:
            file.write(line + "\n")
        print(f"{number} of {len(missing)}: {line}", flush=True)


def _measured(
    runs: Sequence[Any], measure: Callable[[Any], dict[str, Any]], processes: int
) -> Iterator[dict[str, Any]]:
    """Yield the line of each run when it ends."""
    if processes == 1:
        use_one_core()
        yield from map(measure, runs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=use_one_core) as pool:
        for made in as_completed([pool.submit(measure, run) for run in runs]):
            yield made.result()


def _commit() -> str:
    """Return the commit of the code that makes the lines; empty outside a repository."""
    command = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    return run_command(command, capture_output=True, text=True, check=False).stdout.strip()


def use_one_core() -> None:
    """Limit torch and the linear algebra of scikit-learn, which is slower on two busy cores, to one thread."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def is_of(run: Any, row: dict[str, Any]) -> bool:
    """Return whether a line belongs to this run."""
    return all(row[name] == value for name, value in run._asdict().items())
