"""What re-filing is worth when a run trains on groups with misfiled files: python -m benchmarks.refiling [RUNS]

A share of the files of each data set is misfiled, each in the folder of another thing, and SimCLR trains 120 steps of
64 things from the installed weights, with the default settings but for views of 64 pixels. Arms:

    clean    nothing is misfiled; what an oracle that re-files makes
    none     misfiled, uniform weights
    arbiter  misfiled, the default arbiter
    drop     misfiled files are taken away by an oracle, and things with one file left
    listed   those that `uota misfiled` tells wrong by the installed weights are taken away before the training
    refiled  misfiled, the run re-files by itself, uniform weights
    both     the same with the default arbiter: the defaults of `uota pretrain --views groups --init pretrained`

Of the encoder at the end, a line has retrieval (how often the nearest picture of another kind shows the same thing, of
things that were not trained on; a kind is a studio, or the number of a photograph), kNN of their categories, and the
average precision of the list of misfiled files by its features. Runs that have a line in
benchmarks/results/refiling.jsonl are not repeated. A run takes about three minutes on a core.
"""

import csv
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import pytorch_lightning as pl
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.groups import photographs
from benchmarks.lines import make_missing
from uota.data import Groups
from uota.data.demo.drawings import open_drawings_as_groups
from uota.data.memory import TensorSource
from uota.evaluation import Features, evaluate_knn
from uota.evaluation.retrieval import evaluate_retrieval
from uota.membership.eyes import FileEyes, default_eyes, encoder_eyes, file_features
from uota.membership.members import score_members
from uota.membership.misfile import misfile
from uota.membership.result import LIKELY, MemberVerdicts
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

OUT = RESULTS / "refiling.jsonl"
DATA, RATES, SEEDS = ("drawings", "garments"), (0.25, 0.0, 0.5, 0.1), (0, 1, 2, 3, 4)
ARMS = ("clean", "none", "drop", "both", "listed", "refiled", "arbiter")
WITHOUT_MISFILED = ("none", "both", "arbiter")
# Arms in which the run weighs views by the default arbiter; the others have uniform weights.
WEIGHTED = ("arbiter", "both")
# Arms in which it re-files.
REFILED = ("refiled", "both")
SIDE = 64


class Run(NamedTuple):
    """The fields that identify a line of results."""

    data: str
    rate: float
    arm: str
    seed: int


class Size(NamedTuple):
    """How large a run is.

    Attributes:
        steps: of the training.
        batch: things per step.
        garments: garments to train on, and half as many to test on.
        photographs: files of each garment.
        things: drawn things of each split; None: all.
    """

    steps: int = 120
    batch: int = 64
    garments: int = 400
    photographs: int = 8
    things: int | None = None


FULL, TINY = Size(), Size(steps=6, batch=8, garments=24, photographs=3, things=24)


class Archive(NamedTuple):
    """Groups to train on, and what is known of their files.

    Attributes:
        groups: as they are given to the run.
        wrong: which files are misfiled.
        thing, kind: of each file.
    """

    groups: Groups
    wrong: Tensor
    thing: Tensor
    kind: Tensor


def open_data(name: str, split: str, seed: int, size: Size) -> Groups:
    """Open the groups of a data set as they should be."""
    if name == "drawings":
        groups = open_drawings_as_groups("train" if split == "train" else "test")
        count = size.things or len(groups)
        names = [groups.display_name(place) for place in range(count)]
        labels = None if groups.labels is None else groups.labels[:count]
        return Groups(groups.files, groups.members[:count], names=names, labels=labels)
    pixels, labels, classes = photographs(split, seed, size.photographs)
    count = size.garments if split == "train" else size.garments // 2
    shots = size.photographs
    files = pixels[:count].flatten(0, 1).contiguous()
    names = [f"{garment:04} ({shot})" for garment in range(count) for shot in range(shots)]
    source = TensorSource("garments", files, labels[:count].repeat_interleave(shots), classes, names=names)
    members = [range(shots * garment, shots * (garment + 1)) for garment in range(count)]
    return Groups(source, members, names=[f"{garment:04}" for garment in range(count)])


def make_archive(groups: Groups, rate: float, seed: int) -> Archive:
    """Misfile a share of the files."""
    filed, wrong = misfile(groups, rate, seed)
    thing, kind = (torch.full((len(groups.files),), -1) for _ in range(2))
    for number, members in enumerate(groups.members):
        thing[list(members)], kind[list(members)] = number, torch.arange(len(members))
    return Archive(filed, wrong, thing, kind)


def write(folder: Path, groups: Groups, left: Tensor) -> None:
    """Write CATEGORY/THING/FILE.png of the files that are left, in groups of at least two."""
    assert groups.labels is not None
    assert groups.classes is not None
    for number, members in enumerate(groups.members):
        kept = [file for file in members if left[file]]
        thing = folder / groups.classes[int(groups.labels[number])] / groups.display_name(number)
        for file in kept if len(kept) > 1 else []:
            thing.mkdir(parents=True, exist_ok=True)
            pixels = groups.files.images([file])[0].expand(3, -1, -1).permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(thing / f"{groups.files.display_name(file)}.png")


def measure(run: Run, size: Size = FULL) -> dict[str, Any]:
    """Train and evaluate, and return the line of results."""
    train, test = (open_data(run.data, split, run.seed, size) for split in ("train", "test"))
    archive = make_archive(train, run.rate, run.seed)
    given = torch.ones(len(train.files), dtype=torch.bool)
    if run.arm == "drop":
        given = ~archive.wrong
    elif run.arm == "listed":
        given = verdicts(archive, frozen_features(run.data, run.seed, size), run.seed).probability <= LIKELY
    began = time.monotonic()
    with TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "data", Path(temporary) / "run"
        write(folder / "train", archive.groups, given)
        write(folder / "test", test, torch.ones(len(test.files), dtype=torch.bool))
        with patch("uota.training.pretrain.Baseline", _NoBaseline):
            made = pretrain(settings_of(run, folder, size), out, bar=False, lines=False)
        fates = judge_fates(made.refiled_file, train) if run.arm in REFILED else {}
        loaded = load_encoder(EncoderSpec(str(made.folder)))
        seconds = time.monotonic() - began
    eyes = encoder_eyes(loaded, replace(loaded.preset, evaluation_size=SIDE, evaluation_resize=None))
    found = evaluate(archive, test, eyes, run.seed) | fates
    if run.rate:
        found["ap_frozen"] = precision(archive, frozen_features(run.data, run.seed, size), run.seed)
    return run._asdict() | {"steps": size.steps} | found | {"seconds": round(seconds)}


def judge_fates(table: Path, groups: Groups) -> dict[str, int]:
    """Count the files that a run moved and left out, and how many of them it moved to where they belong, or rightly."""
    thing = {
        groups.files.display_name(file): groups.display_name(number)
        for number, members in enumerate(groups.members)
        for file in members
    }
    counts = dict.fromkeys(("moved", "moved_right", "left_out", "left_out_wrong"), 0)
    with table.open(newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            belongs = thing[Path(row["file"]).stem]
            if row["fate"] == "moved":
                counts["moved"] += 1
                counts["moved_right"] += Path(row["moved_to"]).name == belongs
            elif row["fate"] == "left out":
                counts["left_out"] += 1
                counts["left_out_wrong"] += Path(row["group"]).name != belongs
    return counts


class _NoBaseline(pl.Callback):
    """Measures nothing before and after a run, which takes a fifth of its time."""

    def __init__(self, *_: Any, **__: Any) -> None: ...


def settings_of(run: Run, folder: Path, size: Size) -> Pretrain:
    """Return the settings of a run."""
    refile = {} if run.arm in REFILED else {"refile": False}
    arbiter = {} if run.arm in WEIGHTED else {"arbiter": "none"}
    return Pretrain.from_flat(
        data=str(folder),
        views="groups",
        init="pretrained",
        size=SIDE,
        local_views=0,
        steps=size.steps,
        batch_size=size.batch,
        seed=run.seed,
        threads=1,
        workers=0,
        accelerator="cpu",
        **refile,
        **arbiter,
    )


def see(groups: Groups, eyes: FileEyes) -> dict[str, Tensor]:
    """Compute the features of all files."""
    return file_features(groups.files, eyes, bar=False)


def verdicts(archive: Archive, features: dict[str, Tensor], seed: int) -> MemberVerdicts:
    """Judge all files of an archive."""
    group = torch.full((len(archive.wrong),), -1)
    for number, members in enumerate(archive.groups.members):
        group[list(members)] = number
    filed = group >= 0
    return score_members({name: each[filed] for name, each in features.items()}, group[filed], seed)


def evaluate(archive: Archive, test: Groups, eyes: FileEyes, seed: int) -> dict[str, float]:
    """Return retrieval and kNN in per cent on things that were not trained on, and the precision of the list."""
    unseen, seen = see(test, eyes), see(archive.groups, eyes)
    queried, known = make_archive(test, 0.0, seed), archive.thing >= 0
    of = queried.thing >= 0
    bank, queries = (
        Features(features["output"][chosen], groups.files.labels[chosen])  # type: ignore[index]
        for features, groups, chosen in ((seen, archive.groups, known), (unseen, test, of))
    )
    found = {
        "retrieval": round(evaluate_retrieval(queries.x, queried.thing[of], queried.kind[of]), 2),
        "knn": round(evaluate_knn(bank, queries).top1, 2),
    }
    return found | ({"ap": precision(archive, seen, seed)} if archive.wrong.any() else {})


def precision(archive: Archive, features: dict[str, Tensor], seed: int) -> float:
    """Return the average precision of the list of misfiled files."""
    known = archive.thing >= 0
    return round(float(average_precision_score(archive.wrong[known], -verdicts(archive, features, seed).score)), 4)


@cache
def frozen_features(data: str, seed: int, size: Size) -> dict[str, Tensor]:
    """Return the features of a data set by the installed weights; those of drawings do not depend on the seed."""
    if data == "drawings" and seed:
        return frozen_features(data, 0, size)
    groups = open_data(data, "train", seed, size)
    return see(groups, default_eyes(groups.files))


def plan() -> list[Run]:
    """Return all runs, the most telling ones first."""
    runs = [
        Run(data, rate, arm, seed)
        for data, seeds, rate, seed, arm in (
            (data, seeds, rate, seed, arm)
            for data, seeds in product(DATA, (SEEDS[:3], SEEDS[3:]))
            for rate, seed, arm in product(RATES, seeds, ARMS)
        )
    ]
    return [run for run in runs if (run.rate == 0) == (run.arm == "clean") or (run.rate == 0 and run.arm == "both")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print the table."""
    parser = make_parser("refiling", __doc__)
    parser.add_argument("runs", nargs="?", type=positive, metavar="RUNS", help="make at most this many runs")
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    asked = parse(parser, arguments, OUT)
    if asked.tiny:
        runs = [Run(data, 0.25, arm, 0) for data, arm in zip(DATA, ("both", "listed"), strict=True)]
        make_missing(asked.out, runs, partial(measure, size=TINY), processes=1)
    else:
        wanted = [
            run
            for run in plan()
            if run.data in asked.data and run.rate in asked.rates and run.arm in asked.arms and run.seed in asked.seeds
        ]
        make_missing(asked.out, wanted, measure, asked.runs)


if __name__ == "__main__":
    start(main)
