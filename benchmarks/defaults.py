"""What a run with the defaults is worth: python -m benchmarks.defaults [DATA...] [--seeds 0 1 2]

Every run starts from the weights that the defaults choose, and its line has the kNN and linear accuracy of all test
images before and after it. With --inject, that share of the views shows another image, and three arms are compared:
uniform weights, those of the arbiter, and those of an oracle that knows which views are injected. --settings changes
settings of `uota pretrain`, to compare others with the defaults. Runs that have a line in benchmarks/results/init.jsonl
are not repeated.
"""

import argparse
import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

from benchmarks.accuracy import accuracy
from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import write_pictures
from benchmarks.lines import make_missing, read_lines
from uota.data import Source, open_source
from uota.losses import ViewWeights
from uota.methods import Embedded
from uota.methods.build import build_method
from uota.runs.encoder import load_encoder
from uota.runs.initial import read_initial
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining, StepOutput
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto
from uota.views import Views
from uota.views.presets import preset_of

OUT = RESULTS / "init.jsonl"
DATA = ("/usr/share/openclipart/png", "/usr/share/tuxpaint/stamps", "demo-drawings")
ARMS = ("uniform", "arbiter", "oracle")
TINY_IMAGES, TINY_SIDE = 48, 64
TINY = {"steps": 2, "batch_size": 8, "workers": 0, "local_views": 0, "size": 64}


class Run(NamedTuple):
    """The fields that identify a line of results; `settings` are those that differ from the defaults, as YAML."""

    data: str
    seed: int
    arm: str = "arbiter"
    inject: float = 0.0
    settings: str = "{}"

    def flat(self) -> dict[str, Any]:
        """Return the settings of the run by their flat names."""
        arbiter = {} if self.arm == "arbiter" else {"arbiter": "none"}
        inject = {"inject": self.inject} if self.inject else {}
        return {"data": self.data, "seed": self.seed} | arbiter | inject | yaml.safe_load(self.settings)


class Oracle(Pretraining):
    """Training with the weights of an arbiter that knows which views are wrong."""

    def training_step(self, views: Views, batch_index: int) -> StepOutput:
        """Note which views are wrong, and take the step."""
        self.wrong = views.wrong
        return super().training_step(views, batch_index)

    def _weigh(self, embedded: Embedded, progress: float) -> tuple[ViewWeights, None]:
        assert self.wrong is not None
        right = (~self.wrong).float()
        return ViewWeights(right / right.mean(), "both"), None


def measure(run: Run, tiny: bool = False) -> dict[str, Any]:
    """Train and evaluate, and return the line of results; the smallest form takes two steps on some pictures."""
    with TemporaryDirectory() as temporary:
        flat = run.flat()
        if tiny:
            flat |= TINY | {"data": str(write_pictures(Path(temporary) / "pictures", TINY_IMAGES, TINY_SIDE))}
        settings, began = Pretrain.from_flat(**flat), time.monotonic()
        with _arm(run.arm):
            made = pretrain(settings, Path(temporary) / "run", bar=False, lines=not tiny)
        seconds = time.monotonic() - began
        after = load_encoder(EncoderSpec(str(made.folder)))
        steps = made.state()["global_step"]
        ends = accuracy(after.encoder, *_splits(flat["data"]), after.preset)
        before = starting_accuracy(flat["data"], yaml.safe_dump(yaml.safe_load(run.settings) | (TINY if tiny else {})))
    figures = {"before": before, "after": ends, "steps": steps, "seconds": round(seconds)}
    return run._asdict() | figures | {"command": command_of(run)}


@cache
def starting_accuracy(data: str, changes: str) -> dict[str, float]:
    """Return the accuracy of the encoder before its first step, which depends neither on the seed nor on the arm."""
    train, test = _splits(data)
    settings = resolve_auto(Pretrain.from_flat(**{"data": data} | yaml.safe_load(changes)), train)
    encoder = build_method(settings, read_initial(settings)).encoder
    return accuracy(encoder, train, test, preset_of(settings))


def command_of(run: Run) -> str:
    """Return the command that trains the same encoder; that of an oracle has none of its own."""
    return shlex.join(["uota", "pretrain", *(f"--{name}={value}" for name, value in run.flat().items())])


def _splits(data: str) -> tuple[Source, Source]:
    return open_source(data), open_source(data, "test")


def _arm(name: str) -> AbstractContextManager[Any]:
    return patch("uota.training.setup.Pretraining", Oracle) if name == "oracle" else nullcontext()


def runs_of(asked: argparse.Namespace) -> list[Run]:
    """Return the runs of the arguments: without injected views, the oracle has nothing to know."""
    pairs = (each.partition("=") for each in asked.settings)
    changes = yaml.safe_dump({name: yaml.safe_load(value) for name, _, value in pairs}, default_flow_style=True)
    arms = [arm for arm in asked.arms if asked.inject or arm != "oracle"]
    return [
        Run(data, seed, arm, asked.inject, changes.strip())
        for data, seed, arm in product(asked.data or DATA, asked.seeds, arms)
    ]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table with the accuracy before and after each run."""
    lines = ["| data | seed | arm | injected | settings | kNN | linear | steps | seconds |", "|" + " --- |" * 9]
    for row in rows:
        shown = [f"{row['before'][name]:.1f} → {row['after'][name]:.1f}" for name in ("knn", "linear")]
        cells = [*(row[name] for name in Run._fields), *shown, row["steps"], row["seconds"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print the table."""
    parser = make_parser("defaults", __doc__)
    parser.add_argument("data", nargs="*", metavar="DATA", help="folders of pictures, or names of sources")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["arbiter"])
    parser.add_argument("--inject", type=float, default=0.0, metavar="SHARE", help="share of views of another image")
    parser.add_argument("--settings", nargs="+", default=[], metavar="NAME=VALUE", help="settings besides the defaults")
    asked = parse(parser, arguments, OUT)
    runs = runs_of(asked)[:1] if asked.tiny else runs_of(asked)
    make_missing(asked.out, runs, partial(measure, tiny=asked.tiny), processes=1)
    print("\n".join(table(read_lines(asked.out))))


if __name__ == "__main__":
    start(main)
