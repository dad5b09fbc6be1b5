"""Time that starting takes: imports and help texts, compared with `import torch`.

    python -m benchmarks.start_up         # prints, and writes benchmarks/results/start_up.json

Each is a fresh interpreter. They take turns, and are compared by the median over the repetitions of their processor
time and of their wall time. The goals are a quarter of `import torch` for every `--help`, and 1.1 times `import torch`
for `import uota` and `import uota.arbitration`.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from uota.commands import COMMANDS
from uota.settings.evaluation import SETTINGS
from uota.settings.transfer import TASKS

RESULT = RESULTS / "start_up.json"
REPETITIONS = 5
TORCH = "import torch"
IMPORTS = (TORCH, "import uota", "import uota.arbitration", "from uota import arbitrate", "import uota.losses")
GOAL_HELP, GOAL_IMPORT = 0.25, 1.1


def helps() -> list[list[str]]:
    """Return the arguments of every help text."""
    chosen = [[], *([name] for name in COMMANDS), *(["evaluate", name] for name in SETTINGS)]
    return [[*arguments, "--help"] for arguments in [*chosen, *(["transfer", task] for task in TASKS)]]


def seconds(arguments: list[str]) -> tuple[float, float]:
    """Measure the processor time and wall time of a fresh interpreter."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def measure(started: dict[str, list[str]], repetitions: int) -> dict[str, tuple[float, float]]:
    """Measure the median processor time and wall time of each, by its name."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in started}
    for _ in range(repetitions + 1):
        for name, arguments in started.items():
            taken[name].append(seconds(arguments))
    # The first round reads files that later ones find in memory.
    medians = {name: [median(each) for each in zip(*times[1:], strict=True)] for name, times in taken.items()}
    return {name: (processor, wall) for name, (processor, wall) in medians.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = make_parser("start_up", __doc__)
    parser.add_argument("--repetitions", type=positive, help=f"fresh interpreters of each (default {REPETITIONS})")
    asked = parse(parser, arguments, RESULT)
    repetitions = asked.repetitions or (1 if asked.tiny else REPETITIONS)
    started = {code: ["-c", code] for code in IMPORTS[: 2 if asked.tiny else None]}
    for words in helps()[: 1 if asked.tiny else None]:
        started[" ".join(["uota", *words])] = ["-m", "uota", *words]
    medians = measure(started, repetitions)
    rows = {}
    for name, (processor, wall) in medians.items():
        shares = [mine / torchs for mine, torchs in zip((processor, wall), medians[TORCH], strict=True)]
        goal = GOAL_IMPORT if name in IMPORTS else GOAL_HELP
        rows[name] = {
            "processor_seconds": round(processor, 3),
            "wall_seconds": round(wall, 3),
            "share_of_import_torch": [round(share, 3) for share in shares],
        }
        print(f"{name:34} {processor:6.2f} s  {wall:6.2f} s  {shares[0]:5.2f} {shares[1]:5.2f} of torch (goal {goal})")
    written = {"repetitions": repetitions, "cores": os.cpu_count(), "medians": rows}
    asked.out.write_text(json.dumps(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start(main)
