"""What arbitration is worth: python -m benchmarks.worth [RUNS]  (or make worth; 8 hours on 2 cores)

Runs of `plan.py` that have no line in benchmarks/results/worth.jsonl are made, two at a time on one core each, and each
appends its line when it ends. RUNS limits their number. The tables are printed by python -m benchmarks.worth.table.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.lines import make_missing
from benchmarks.worth.plan import plan
from benchmarks.worth.run import Run, measure

OUT = RESULTS / "worth.jsonl"
TINY_RUNS = [Run("injected-25", "swav", arm, seed=0) for arm in ("learned-thumbnails", "sampled")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet."""
    parser = make_parser("worth", __doc__)
    parser.add_argument("runs", nargs="?", type=positive, metavar="RUNS", help="make at most this many runs")
    asked = parse(parser, arguments, OUT)
    if asked.tiny:
        make_missing(asked.out, TINY_RUNS, partial(measure, tiny=True), processes=1)
    else:
        make_missing(asked.out, plan(), measure, asked.runs)


if __name__ == "__main__":
    start(main)
