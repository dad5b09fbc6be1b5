"""Everything that needs an accelerator: python -m benchmarks.on_device --out FOLDER [--minutes 9] [--tiny]

Three parts, each with a time limit, side by side where they do not disturb each other:
  recipes  every published recipe at its real size, alone on the card (`recipes.py`);
  smoke    SwAV from the command line on the card, then on the CPU (`smoke.py`);
  learns   `benchmarks.learns` for this code and for that of --base, three seeds, as many runs at once as --slots, a
           core each: the first ones on the CPU, while the card is measured, all others on the card.
Lines go to FOLDER as each run ends: recipes.jsonl, smoke.jsonl, learns.jsonl, learns-before.jsonl (of --base), and
failures.txt. At the end, at most --minutes after the start, one table is printed and written to table.txt.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks import learns
from benchmarks.lines import read_lines
from benchmarks.on_device.jobs import AROUND, Job, costs_of, plan
from benchmarks.on_device.parts import Card, Learning
from benchmarks.on_device.processes import REPOSITORY
from benchmarks.on_device.table import SMOKE, lines_of, of_recipes

FOR_THE_TABLE = 12.0  # seconds
FILES = ("recipes.jsonl", "smoke.jsonl", "learns.jsonl", "learns-before.jsonl", "failures.txt", "table.txt")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="a folder with the src of another version of this code")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--began", type=float, help="when the minutes began, in seconds since 1970; by default now")
    parser.add_argument("--slots", type=int, default=14)
    parser.add_argument("--tiny", action="store_true", help="a little of everything, on a CPU")
    return parser.parse_args()


def main() -> None:
    asked = parse()
    passed = time.time() - asked.began if asked.began else 0.0
    deadline = time.monotonic() + 60 * asked.minutes - passed - FOR_THE_TABLE
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (asked.out / name).unlink(missing_ok=True)
    with TemporaryDirectory() as folder:
        card, learning = parts_of(asked, Path(folder), deadline)
        try:
            while time.monotonic() < deadline and not (card.done and learning.done):
                card.advance()
                learning.advance(card.measured)
                time.sleep(0.3)
        finally:
            card.stop()
            learning.stop()
    said = "\n".join([*report(asked.out), *card.notes, *learning.notes])
    (asked.out / "table.txt").write_text(said + "\n")
    print(said, flush=True)


def parts_of(asked: argparse.Namespace, folder: Path, deadline: float) -> tuple[Card, Learning]:
    """The parts, not yet started."""
    has_card = torch.cuda.is_available() and not asked.tiny
    trees = {"new": REPOSITORY / "src"}
    if asked.base and (asked.base / "src/uota").is_dir():
        trees["base"] = asked.base.resolve() / "src"
    costs = costs_of(read_lines(learns.RESULTS / "learns-before.jsonl"))
    plans = {device: plan(device, "base" in trees, costs) for device in ("cpu", "cuda")}
    if asked.tiny:
        plans["cpu"] = [Job(tree, learns.Run("swav", "demo-scenes", 0, "untrained")) for tree in trees]
        costs = {"swav": AROUND}
    card = Card(asked.out, folder, trees["new"], deadline, asked.tiny)
    return card, Learning(asked.out, folder, trees, plans, costs, deadline, asked.slots, has_card)


def report(out: Path) -> Iterator[str]:
    """The one table, of all lines there are."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    yield f"# On {card}, torch {torch.__version__}"
    yield from of_recipes(read_lines(out / "recipes.jsonl"))
    yield from lines_of(
        "SwAV on the demo data, trained on the card, evaluated on the CPU", read_lines(out / "smoke.jsonl"), SMOKE
    )
    yield "\n## What the methods learn on the demo data, per cent\n"
    yield from learns.table(read_lines(out / "learns-before.jsonl"), read_lines(out / "learns.jsonl"))
    yield ""


if __name__ == "__main__":
    main()
