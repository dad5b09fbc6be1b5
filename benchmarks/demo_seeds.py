"""The table of `make demo` for six seeds: python -m benchmarks.demo_seeds  (about 25 minutes on 2 cores)

Seeds that already have a result in benchmarks/results/demo_seeds.json are not run again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from uota.commands.demonstration import DEMO_EPOCHS, run_demo

SEEDS = (0, 1, 2, 3, 4, 5)
OUT = RESULTS / "demo_seeds.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo for each seed that has no result, and print means over seeds."""
    parser = make_parser("demo_seeds", __doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--epochs", type=positive, help=f"passes over the images (default {DEMO_EPOCHS})")
    asked = parse(parser, arguments, OUT)
    seeds, epochs = asked.seeds[:1] if asked.tiny else asked.seeds, asked.epochs or (1 if asked.tiny else DEMO_EPOCHS)
    found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for seed in seeds:
        if str(seed) not in found:
            with TemporaryDirectory() as folder:
                found[str(seed)] = run_demo(Path(folder), seed, epochs)
            asked.out.write_text(json.dumps(found, indent=1) + "\n")
    for row in found[str(seeds[0])]:
        for protocol in ("linear", "knn"):
            values = [found[str(seed)][row][protocol] for seed in seeds]
            print(f"{row:20} {protocol:7} mean {mean(values):5.1f}   seeds {', '.join(f'{v:.1f}' for v in values)}")


if __name__ == "__main__":
    start(main)
