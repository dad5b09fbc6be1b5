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
things that were not trained on; a kind is a studio, the number of a photograph, or a font), kNN of their categories,
and the average precision of the list of misfiled files by its features. Runs that have a line in
benchmarks/results/refiling.jsonl are not repeated. A run takes about three minutes on a core.
"""

import csv
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unicodedata import category
from unittest.mock import patch

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.groups import photographs
from benchmarks.lines import make_missing, read_lines
from benchmarks.misfiled.pictures import CHARACTERS, FACES, write
from uota.comparison.statistics import Estimate
from uota.data import Groups
from uota.data.demo.drawings import open_drawings_as_groups
from uota.data.memory import TensorSource
from uota.data.source import Split
from uota.evaluation import Features, evaluate_knn
from uota.evaluation.retrieval import evaluate_retrieval
from uota.membership.eyes import FileEyes, default_eyes, encoder_eyes, file_features
from uota.membership.members import score_members
from uota.membership.misfile import misfile
from uota.membership.verdicts import LIKELY, MemberVerdicts
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

OUT = RESULTS / "refiling.jsonl"
DATA, SEEDS = ("drawings", "garments", "glyphs"), (0, 1, 2, 3, 4)
MISFILED = ("both", "none", "drop", "listed", "refiled", "arbiter")
# By the share of files that are misfiled. Nothing is lost to compare with where none is.
ARMS = {0.25: MISFILED, 0.0: ("clean", "both"), 0.5: MISFILED, 0.1: MISFILED}
# Arms in which the run weighs views by the default arbiter; the others have uniform weights.
WEIGHTED = ("arbiter", "both")
# Arms in which it re-files.
REFILED = ("refiled", "both")
SIDE = 64


Lines = dict[int, dict[str, Any]]


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
        things: drawn things, or characters, of each split; None: all.
    """

    steps: int = 120
    batch: int = 64
    garments: int = 400
    photographs: int = 8
    things: int | None = None


FULL, TINY = Size(), Size(steps=9, batch=8, garments=24, photographs=3, things=24)


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
    """Open the groups of a data set as they should be; the files of a group stand in a row."""
    if name == "drawings":
        files, shots, names = _drawings("train" if split == "train" else "test", size)
    elif name == "garments":
        files, shots, names = _garments(split, seed, size)
    else:
        files, shots, names = _glyphs(split, seed, size)
    return Groups(files, [range(first, first + shots) for first in range(0, len(files), shots)], names=names)


def _drawings(split: Split, size: Size) -> tuple[TensorSource, int, list[str]]:
    groups = open_drawings_as_groups(split)
    things, shots, files = size.things or len(groups), len(groups.members[0]), groups.files
    assert isinstance(files, TensorSource)
    assert files.labels is not None
    count = shots * things
    names = [files.display_name(file) for file in range(count)]
    few = TensorSource(files.name, files.pixels[:count], files.labels[:count], files.classes, names=names)
    return few, shots, [groups.display_name(thing) for thing in range(things)]


def _garments(split: str, seed: int, size: Size) -> tuple[TensorSource, int, list[str]]:
    pixels, labels, classes = photographs(split, seed, size.photographs)
    count, shots = size.garments if split == "train" else size.garments // 2, size.photographs
    names = [f"{garment:04}" for garment in range(count)]
    files = TensorSource(
        "garments",
        pixels[:count].flatten(0, 1).contiguous(),
        labels[:count].repeat_interleave(shots),
        classes,
        names=[f"{name} ({shot})" for name in names for shot in range(shots)],
    )
    return files, shots, names


def _glyphs(split: str, seed: int, size: Size) -> tuple[TensorSource, int, list[str]]:
    """Return characters in thirty fonts, of which two in three are trained on; categories are those of Unicode."""
    order = torch.randperm(len(CHARACTERS), generator=torch.Generator().manual_seed(seed)).tolist()
    trained = 2 * len(order) // 3
    chosen = (order[:trained] if split == "train" else order[trained:])[: size.things]
    characters = "".join(CHARACTERS[place] for place in chosen)
    classes = sorted({category(character) for character in CHARACTERS})
    labels = torch.tensor([classes.index(category(character)) for character in characters])
    names = [f"{ord(character):04x}" for character in characters]
    files = TensorSource(
        "glyphs",
        torch.stack([torch.from_numpy(np.array(each)).permute(2, 0, 1) for each in write(characters)]),
        labels.repeat_interleave(FACES),
        classes,
        names=[f"{name} ({face})" for name in names for face in range(FACES)],
    )
    return files, FACES, names


def make_archive(groups: Groups, rate: float, seed: int) -> Archive:
    """Misfile a share of the files."""
    filed, wrong = misfile(groups, rate, seed)
    shots = len(groups.members[0])
    file = torch.arange(len(groups.files))
    return Archive(filed, wrong, file // shots, file % shots)


def write_files(folder: Path, groups: Groups, left: Tensor) -> None:
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
        write_files(folder / "train", archive.groups, given)
        write_files(folder / "test", test, torch.ones(len(test.files), dtype=torch.bool))
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
        batch_size=min(size.batch, len(list((folder / "train").glob("*/*")))),
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
    group = torch.empty(len(archive.wrong), dtype=torch.int64)
    for number, members in enumerate(archive.groups.members):
        group[list(members)] = number
    return score_members(features, group, seed)


def evaluate(archive: Archive, test: Groups, eyes: FileEyes, seed: int) -> dict[str, float]:
    """Return retrieval and kNN in per cent on things that were not trained on, and the precision of the list."""
    unseen, seen, queried = see(test, eyes), see(archive.groups, eyes), make_archive(test, 0.0, seed)
    assert archive.groups.files.labels is not None
    assert test.files.labels is not None
    bank = Features(seen["output"], archive.groups.files.labels)
    queries = Features(unseen["output"], test.files.labels)
    found = {
        "retrieval": round(evaluate_retrieval(queries.x, queried.thing, queried.kind), 2),
        "knn": round(evaluate_knn(bank, queries).top1, 2),
    }
    return found | ({"ap": precision(archive, seen, seed)} if archive.wrong.any() else {})


def precision(archive: Archive, features: dict[str, Tensor], seed: int) -> float:
    """Return the average precision of the list of misfiled files."""
    return round(float(average_precision_score(archive.wrong, -verdicts(archive, features, seed).score)), 4)


@cache
def frozen_features(data: str, seed: int, size: Size) -> dict[str, Tensor]:
    """Return the features of a data set by the installed weights; those of drawings do not depend on the seed."""
    if data == "drawings" and seed:
        return frozen_features(data, 0, size)
    groups = open_data(data, "train", seed, size)
    return see(groups, default_eyes(groups.files))


def plan() -> list[Run]:
    """Return all runs, the most telling ones first; where nothing is misfiled, only clean and both differ."""
    return [
        Run(data, rate, arm, seed)
        for data, seeds in product(DATA, (SEEDS[:3], SEEDS[3:]))
        for seed, (rate, arms) in product(seeds, ARMS.items())
        for arm in arms
    ]


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: means over seeds, and the share of what is lost that each arm wins back."""
    yield "| data | misfiled | arm | seeds | retrieval | won back | kNN | won back | AP | frozen AP |"
    yield "|" + " --- |" * 10
    cells: dict[tuple[str, float, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        cells[row["data"], row["rate"], row["arm"]][row["seed"]] = row
    for (data, rate, arm), found in cells.items():
        clean, dirty = (cells.get(cell, {}) for cell in ((data, 0.0, "clean"), (data, rate, "none")))
        shown = [f"{data} | {rate:.0%} | {arm} | {len(found)}"]
        for figure in ("retrieval", "knn"):
            shown += [str(Estimate.of([row[figure] for row in found.values()])), won_back(clean, dirty, found, figure)]
        for name in ("ap", "ap_frozen"):
            values = [row[name] for row in found.values() if name in row]
            shown.append(f"{mean(values):.3f}" if values else "")
        yield f"| {' | '.join(shown)} |"


def won_back(clean: Lines, dirty: Lines, found: Lines, figure: str) -> str:
    """Return the gain over no weights relative to the loss, of means over the seeds that all three have."""
    seeds = clean.keys() & dirty.keys() & found.keys()
    if not seeds or found is dirty:
        return ""
    best, worst, own = (mean(lines[seed][figure] for seed in seeds) for lines in (clean, dirty, found))
    return f"{own - worst:+.1f} of {best - worst:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print the table."""
    parser = make_parser("refiling", __doc__)
    parser.add_argument("runs", nargs="?", type=positive, metavar="RUNS", help="make at most this many runs")
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--rates", nargs="+", type=float, choices=ARMS, default=ARMS)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    asked = parse(parser, arguments, OUT)
    if asked.tiny:
        runs = [Run("drawings", 0.25, "both", 0), Run("garments", 0.25, "listed", 0)]
        make_missing(asked.out, runs, partial(measure, size=TINY), processes=1)
    else:
        wanted = [
            run for run in plan() if run.data in asked.data and run.rate in asked.rates and run.seed in asked.seeds
        ]
        make_missing(asked.out, wanted, measure, asked.runs)
    print("\n".join(table(read_lines(asked.out))))


if __name__ == "__main__":
    start(main)
