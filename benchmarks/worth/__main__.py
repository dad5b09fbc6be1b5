"""What arbitration is worth: python -m benchmarks.worth [RUNS]  (or make worth; 8 hours on 2 cores).

Makes the runs of `plan.py` that have no line in benchmarks/results/worth.jsonl yet, two at a time on a core each, and
appends each line as its run ends. With RUNS it stops after so many. What they say: python -m benchmarks.worth.table.
"""

import sys
from pathlib import Path

from benchmarks.lines import make_missing
from benchmarks.worth.plan import plan
from benchmarks.worth.run import measure

OUT = Path(__file__).parents[1] / "results/worth.jsonl"

if __name__ == "__main__":
    make_missing(OUT, plan(), measure, int(sys.argv[1]) if len(sys.argv) > 1 else None)
