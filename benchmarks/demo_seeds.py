"""What `make demo` prints, for three seeds: python -m benchmarks.demo_seeds  (about 15 minutes on 2 cores)

Seeds that already have a result in benchmarks/results/demo_seeds.json are not run again.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from uota.demo.length import Length
from uota.demo.run import run_demo

SEEDS = (0, 1, 2)
OUT = RESULTS / "demo_seeds.json"
TINY = Length(steps=2, batch_size=4, things=24)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo for each seed that has no result, and print means over seeds."""
    parser = make_parser("demo_seeds", __doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--steps", type=positive, help=f"steps of each training run (default {Length().steps})")
    asked = parse(parser, arguments, OUT)
    seeds = asked.seeds[:1] if asked.tiny else asked.seeds
    length = TINY if asked.tiny else Length(steps=asked.steps or Length().steps)
    found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for seed in seeds:
        if str(seed) not in found:
            with TemporaryDirectory() as folder:
                found[str(seed)] = run_demo(Path(folder), seed, length)
            asked.out.write_text(json.dumps(found, indent=1) + "\n")
    for line in table([found[str(seed)] for seed in seeds]):
        print(line)


def table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each figure: its mean and those of the seeds."""
    yield _line("estimated share", [each["share"] for each in found], ".3f")
    for name in found[0]["precision"]:
        yield _line(f"list: {name}", [each["precision"][name] for each in found], ".3f")
    for encoder, figures in found[0]["encoders"].items():
        for figure in figures:
            of_seeds = [each["encoders"][encoder][figure] for each in found]
            yield _line(f"{encoder}: {figure}", of_seeds, ".3f" if figure == "precision" else ".1f")


def _line(name: str, of_seeds: list[float], form: str) -> str:
    return f"{name:52} mean {mean(of_seeds):{form}}   seeds {', '.join(f'{each:{form}}' for each in of_seeds)}"


if __name__ == "__main__":
    start(main)
