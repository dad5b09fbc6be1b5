"""How long a user waits at the door: imports and help texts, beside `import torch`.

    python -m benchmarks.start_up         # prints, and writes benchmarks/results/start_up.json; a minute or two

Each is a fresh interpreter; they take turns, and are compared by the median of the repetitions, in processor time and
in wall time. Goals: every `--help` in a quarter of `import torch`, `import uota` and `import uota.arbitration` in 1.1
times.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from uota.commands import COMMANDS
from uota.settings.evaluation import SETTINGS
from uota.settings.transfer import TASKS

RESULT = Path(__file__).parent / "results" / "start_up.json"
REPETITIONS = 5
TORCH = "import torch"
IMPORTS = (TORCH, "import uota", "import uota.arbitration", "from uota import arbitrate", "import uota.losses")
GOAL_HELP, GOAL_IMPORT = 0.25, 1.1


def helps() -> list[list[str]]:
    """Arguments of every help text."""
    chosen = [[], *([name] for name in COMMANDS), *(["evaluate", name] for name in SETTINGS)]
    return [[*arguments, "--help"] for arguments in [*chosen, *(["transfer", task] for task in TASKS)]]


def seconds(arguments: list[str]) -> tuple[float, float]:
    """Processor time and wall time of a fresh interpreter."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def main() -> None:
    """Measure, print and write."""
    started = {code: ["-c", code] for code in IMPORTS}
    started |= {" ".join(["uota", *arguments]): ["-m", "uota", *arguments] for arguments in helps()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in started}
    for _ in range(REPETITIONS + 1):
        for name, arguments in started.items():
            taken[name].append(seconds(arguments))
    # The first round reads files that later ones find in memory.
    medians = {name: [median(each) for each in zip(*times[1:], strict=True)] for name, times in taken.items()}
    rows = {}
    for name, (processor, wall) in medians.items():
        shares = [mine / torchs for mine, torchs in zip((processor, wall), medians[TORCH], strict=True)]
        goal = GOAL_IMPORT if name.startswith(("import", "from")) else GOAL_HELP
        rows[name] = {
            "processor_seconds": round(processor, 3),
            "wall_seconds": round(wall, 3),
            "share_of_import_torch": [round(share, 3) for share in shares],
        }
        print(f"{name:32} {processor:6.2f} s  {wall:6.2f} s  {shares[0]:5.2f} {shares[1]:5.2f} of torch (goal {goal})")
    written = {"repetitions": REPETITIONS, "cores": os.cpu_count(), "medians": rows}
    RESULT.write_text(json.dumps(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
