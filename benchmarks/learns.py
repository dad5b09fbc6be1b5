"""Whether methods learn, with and without arbitration: python -m benchmarks.learns [METHOD[:DATA]...] [--seeds 0 1 2]

The small recipe of each method for the demo data (`uota/recipes/*_demo.yaml`) is trained without an arbiter and with
the learned one on features, and compared with an untrained encoder of the same shape. Two runs of two to five minutes
are made at a time, on one core each. Every run appends a line to benchmarks/results/learns.jsonl, and runs that have a
line are not repeated. The table at the end shows means over seeds, next to those of the code before a change (--before
FILE, by default benchmarks/results/learns-before.jsonl).
"""

import csv
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from scipy import stats

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import write_pictures
from benchmarks.lines import make_missing, read_lines, use_one_core
from uota.comparison.statistics import CONFIDENCE, Estimate
from uota.encoders.encoder import Encoder
from uota.evaluation.evaluate import evaluate
from uota.methods import METHODS
from uota.recipes import recipe
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

OUT = RESULTS / "learns.jsonl"
SEEDS = (0, 1, 2)
ARMS = ("none", "learned", "untrained")
FIGURES = ("linear", "knn")
# To compare with CMC, whose recipe is for images in colour.
IN_COLOUR = ("simclr:demo-scenes-colour",)
TINY_IMAGES, TINY_SIDE, TINY_BATCH = 48, 32, 16


class Run(NamedTuple):
    """The fields that identify a line of results; devices round differently, so the device is one of them."""

    method: str
    data: str
    seed: int
    arm: str
    device: str = "cpu"


class Cell(NamedTuple):
    """Runs that differ only in their seed."""

    method: str
    data: str
    arm: str
    device: str


@dataclass(frozen=True)
class Change:
    """A cell before and after a change of the code.

    Attributes:
        before, after: means over seeds.
        half: half the 95 % interval of their difference (Welch's t); NaN if either has fewer than two seeds.
    """

    before: Estimate
    after: Estimate
    half: float

    @property
    def difference(self) -> float:
        """The change of the mean, in points."""
        return self.after.mean - self.before.mean

    @property
    def lost(self) -> bool:
        """Whether the whole interval of the difference is below zero."""
        return self.difference + self.half < 0


def settings_of(run: Run) -> Pretrain:
    """Return the settings that a run trains with."""
    accelerator = "cpu" if run.device == "cpu" else "gpu"
    demo = recipe(f"{run.method}_demo")
    plain = demo.replace_flat(data=run.data, seed=run.seed, arbiter="none", threads=1, accelerator=accelerator)
    if run.arm == "learned":
        return plain.replace_flat(arbiter="learned", eyes="features")
    if run.arm == "none":
        return plain
    if METHODS[run.method].encoder is not Encoder:  # the method "random" has this encoder
        return plain.replace_flat(learning_rate=0.0, weight_decay=0.0, epochs=1)
    return plain.replace_flat(method="random", method_options={}, epochs=1)


def measure(run: Run, tiny: bool = False) -> dict[str, Any]:
    """Return a run's line: top-1 in per cent, effective rank of the embeddings and seconds, all on one core.

    `seconds` and `cpu_seconds` are those of the training (a busy machine hardly changes the latter),
    `evaluation_seconds` those of both evaluations. The smallest form trains on a few pictures.
    """
    use_one_core()
    with TemporaryDirectory() as temporary:
        folder, settings = Path(temporary) / "run", settings_of(run)
        if tiny:
            data = write_pictures(Path(temporary) / "pictures", TINY_IMAGES, TINY_SIDE)
            settings = settings.replace_flat(data=str(data), epochs=1, batch_size=TINY_BATCH, views="small", workers=0)
        began, worked = time.monotonic(), time.process_time()
        trained = pretrain(settings, folder, overwrite=True, bar=False, lines=False)
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - worked}
        (log,) = (folder / "logs").glob("*/metrics.csv")
        ranks = [row["rankme"] for row in csv.DictReader(log.read_text().splitlines()) if row["rankme"]]
        began = time.monotonic()
        top1 = {protocol: round(evaluate(protocol, EncoderSpec(str(trained.folder))).top1, 2) for protocol in FIGURES}
        spent["evaluation_seconds"] = time.monotonic() - began
    figures = {"rankme": round(float(ranks[-1]), 1)} | {name: round(value) for name, value in spent.items()}
    return run._asdict() | top1 | figures


def summarise(rows: list[dict[str, Any]], figure: str) -> dict[Cell, Estimate]:
    """Average a figure over the seeds of each cell, with half its 95 % interval."""
    return {cell: Estimate.of(values) for cell, values in _by_cell(rows, figure).items()}


def compare(before: list[dict[str, Any]], after: list[dict[str, Any]], figure: str) -> dict[Cell, Change]:
    """Compare a figure before and after a change of the code, for each cell that both have."""
    old, new = _by_cell(before, figure), _by_cell(after, figure)
    return {
        cell: Change(Estimate.of(old[cell]), Estimate.of(new[cell]), _half_of_difference(old[cell], new[cell]))
        for cell in new
        if cell in old
    }


def _by_cell(rows: list[dict[str, Any]], figure: str) -> dict[Cell, list[float]]:
    found: dict[Cell, list[float]] = defaultdict(list)
    for row in rows:
        found[Cell(*(row[name] for name in Cell._fields))].append(row[figure])
    return found


def _half_of_difference(before: list[float], after: list[float]) -> float:
    """Return half the 95 % interval of the difference of two means, whose variances may differ."""
    if min(len(before), len(after)) < 2:
        return float("nan")
    if len({*before}) == len({*after}) == 1:
        return 0.0
    interval = stats.ttest_ind(after, before, equal_var=False).confidence_interval(CONFIDENCE)
    return float(interval.high - interval.low) / 2


def table(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: the means of every cell, and those before a change if it was measured then."""
    yield "| method | data | arm | device | seeds | linear before | linear | change | kNN before | kNN | change |"
    yield "|" + " --- |" * 11
    means = {figure: summarise(after, figure) for figure in FIGURES}
    changes = {figure: compare(before, after, figure) for figure in FIGURES}
    for cell in sorted(means["linear"]):
        seeds = str(means["linear"][cell].count)
        shown = [each for figure in FIGURES for each in _shown(means[figure][cell], changes[figure].get(cell))]
        yield "| " + " | ".join([*cell, seeds, *shown]) + " |"


def _shown(mean: Estimate, change: Change | None) -> tuple[str, str, str]:
    if change is None:
        return "", str(mean), ""
    half = "" if change.half != change.half else f" ± {change.half:.1f}"
    return str(change.before), str(mean), f"{change.difference:+.1f}{half}{' lost' if change.lost else ''}"


def runs_of(asked: list[str], seeds: list[int], arms: list[str]) -> list[Run]:
    """Return all runs of these methods (METHOD or METHOD:DATA); none given: of every method."""
    asked = asked or [*(name for name in METHODS if name != "random"), *IN_COLOUR]
    parts = (each.partition(":") for each in asked)
    pairs = [(name, data or recipe(f"{name}_demo").data.source) for name, _, data in parts]
    return [Run(*pair, seed, arm) for seed, pair, arm in product(seeds, pairs, arms)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print the table."""
    parser = make_parser("learns", __doc__)
    parser.add_argument("methods", nargs="*", metavar="METHOD[:DATA]")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--before", type=Path, default=RESULTS / "learns-before.jsonl")
    asked = parse(parser, arguments, OUT)
    if unknown := [name for name in asked.methods if name.partition(":")[0] not in METHODS]:
        parser.error(f"there is no method {unknown[0]!r}; choose among {', '.join(METHODS)}")
    if asked.tiny:
        runs = runs_of(asked.methods or ["swav"], asked.seeds[:1], asked.arms[:1])
        make_missing(asked.out, runs, partial(measure, tiny=True), processes=1)
    else:
        make_missing(asked.out, runs_of(asked.methods, asked.seeds, asked.arms), measure)
    before = [] if asked.tiny else read_lines(asked.before)
    print("\n".join(table(before, read_lines(asked.out))))


if __name__ == "__main__":
    start(main)
