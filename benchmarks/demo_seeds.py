"""The table of `make demo` for six seeds: python -m benchmarks.demo_seeds (about 25 minutes on 2 cores).

Seeds that are already in benchmarks/results/demo_seeds.json are not run again.
"""

import json
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from uota.commands.demonstration import run_demo

SEEDS = (0, 1, 2, 3, 4, 5)
OUT = Path(__file__).parent / "results/demo_seeds.json"


def main() -> None:
    found = json.loads(OUT.read_text()) if OUT.exists() else {}
    for seed in SEEDS:
        if str(seed) not in found:
            with TemporaryDirectory() as folder:
                found[str(seed)] = run_demo(Path(folder), seed)
            OUT.write_text(json.dumps(found, indent=1) + "\n")
    for row in found[str(SEEDS[0])]:
        for protocol in ("linear", "knn"):
            values = [found[str(seed)][row][protocol] for seed in SEEDS]
            print(f"{row:20} {protocol:7} mean {mean(values):5.1f}   seeds {', '.join(f'{v:.1f}' for v in values)}")


if __name__ == "__main__":
    main()
