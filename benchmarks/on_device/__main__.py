"""Everything that needs an accelerator: python -m benchmarks.on_device --out FOLDER [--minutes 9] [--tiny]

The parts have a time limit each, and run one after the other, except the last:
  tests    the tests that need a GPU (pytest -m cuda), or the same tests with the CPU as the device;
  speed    images per second of whole trainings from files and from memory, of the network alone, and of lightly's plain
           code (`speed.py`);
  recipes  every published recipe at its real size, alone on the accelerator (`recipes.py`);
  smoke    SwAV from the command line on the accelerator, then on the CPU (`smoke.py`);
  learns   `benchmarks.learns` for this code and for that of --base, with three seeds. There are up to --slots runs at a
           time, on one core each: the first ones on the CPU while the recipes are measured, the others on the
           accelerator.
--parts names those that shall run. Every run appends a line to a file in FOLDER when it ends: speed.jsonl,
recipes.jsonl, smoke.jsonl, learns.jsonl, learns-before.jsonl (of --base), and failures.txt. At most --minutes after the
start, one table is printed and written to table.txt; what was not reached is in it as not run.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks import learns
from benchmarks.command_line import RESULTS, make_parser, positive, start
from benchmarks.lines import read_lines
from benchmarks.on_device.jobs import AROUND, Job, costs_of, plan
from benchmarks.on_device.parts import PARTS, Card, Learning
from benchmarks.on_device.processes import REPOSITORY
from benchmarks.on_device.table import SMOKE, lines_of, of_recipes, of_speed, of_tests

FOR_THE_TABLE = 12.0  # seconds
LEARNS = "learns"
FILES = (
    "tests.txt",
    "speed.jsonl",
    "recipes.jsonl",
    "smoke.jsonl",
    "learns.jsonl",
    "learns-before.jsonl",
    "failures.txt",
    "table.txt",
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser("on_device", __doc__, measures=False)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="a folder with the src of another version of this code")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--began", type=float, help="when the minutes began, in seconds since 1970; by default now")
    parser.add_argument("--slots", type=positive, default=14)
    parser.add_argument("--parts", nargs="+", choices=(*PARTS, LEARNS), default=[*PARTS, LEARNS], metavar="PART")
    parser.add_argument("--tiny", action="store_true", help="a little of everything, on a CPU")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts, and print the table."""
    asked = parse(arguments)
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
                if not card.needs_all_cores:
                    learning.advance(card.is_free)
                time.sleep(0.3)
        finally:
            card.stop()
            learning.stop()
    said = "\n".join([*report(asked.out), *card.notes, *learning.notes])
    (asked.out / "table.txt").write_text(said + "\n")
    print(said, flush=True)


def parts_of(asked: argparse.Namespace, folder: Path, deadline: float) -> tuple[Card, Learning]:
    """Build the parts; nothing is started yet."""
    has_card = torch.cuda.is_available() and not asked.tiny
    trees = {"new": REPOSITORY / "src"}
    if asked.base and (asked.base / "src/uota").is_dir():
        trees["base"] = asked.base.resolve() / "src"
    costs = costs_of(read_lines(RESULTS / "learns-before.jsonl"))
    plans = {device: plan(device, "base" in trees, costs) for device in ("cpu", "cuda")}
    if asked.tiny:
        plans["cpu"] = [Job(tree, learns.Run("swav", "demo-scenes", 0, "untrained")) for tree in trees]
        costs = {"swav": AROUND}
    if LEARNS not in asked.parts:
        plans = {device: [] for device in plans}
    waiting = [part for part in PARTS if part in asked.parts]
    card = Card(asked.out, folder, trees["new"], deadline, asked.tiny, waiting)
    return card, Learning(asked.out, folder, trees, plans, costs, deadline, asked.slots, has_card)


def report(out: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    yield f"# On {card}, torch {torch.__version__}"
    yield from of_tests(out / "tests.txt")
    yield from of_speed(read_lines(out / "speed.jsonl"))
    yield from of_recipes(read_lines(out / "recipes.jsonl"))
    yield from lines_of(
        "SwAV on the demo data, trained on the card, evaluated on the CPU", read_lines(out / "smoke.jsonl"), SMOKE
    )
    yield "\n## What the methods learn on the demo data, per cent\n"
    yield from learns.table(read_lines(out / "learns-before.jsonl"), read_lines(out / "learns.jsonl"))
    yield ""


if __name__ == "__main__":
    start(main)
