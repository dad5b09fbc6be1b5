"""What arbitration is worth: python -m benchmarks.worth [RUNS]  (or make worth; 8 hours on 2 cores).

Makes the runs of `plan.py` that have no line in benchmarks/results/worth.jsonl yet, two at a time on a core each, and
appends each line as its run ends. With RUNS it stops after so many. What they say: python -m benchmarks.worth.table.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from benchmarks.worth.plan import plan
from benchmarks.worth.run import Run, measure

OUT = Path(__file__).parents[1] / "results/worth.jsonl"
RUNS_AT_ONCE = 2


def main(at_most: int | None) -> None:
    rows = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    done = {Run(**{field.name: row[field.name] for field in fields(Run)}) for row in rows}
    missing = list(islice((run for run in plan() if run not in done), at_most))
    with ProcessPoolExecutor(RUNS_AT_ONCE, mp_context=get_context("spawn")) as pool:
        for number, made in enumerate(as_completed([pool.submit(measure, run) for run in missing]), 1):
            line = json.dumps(made.result())
            with OUT.open("a") as file:
                file.write(line + "\n")
            print(f"{number} of {len(missing)}: {line}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
