"""What an inspection sees with: python -m benchmarks.eyes [DATA...] [--seeds 0 1 2] [--inject 0 0.05 0.1 0.25]

Views of other images are injected into folders of pictures, and four arbiters score the same views: a head trained on
thumbnails; the frozen embedded encoder without training; a head trained on its features for 100 steps; and the arbiter
that is chosen by injection, as by `uota inspect`. A line of benchmarks/results/eyes.jsonl has for each the AUROC, the
estimated rate with its interval, the share of views with an outlier probability above one half, and how many of those
above 0.8 are injected; views of a single colour are not counted. Lines that exist are not repeated. --pictures FOLDER
draws, for each data set, the twenty most suspicious views without injection, each below its image, in which a red
frame shows where it was cut out.

Photographs are those of `benchmarks.photographs`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.eyes_pictures import draw_worst
from benchmarks.lines import make_missing, read_lines
from benchmarks.photographs import photographs
from uota.arbitration import CohortScore
from uota.arbitration.candidates import COMBINATIONS
from uota.arbitration.selection import frozen, learned
from uota.inspection.arbiters import CHOSEN, ArbiterSet, Judge, choose_judge, fit_judge, sample_features
from uota.inspection.eyes import THUMBNAILS, open_eyes
from uota.inspection.input import InspectionInput, open_input
from uota.inspection.scoring import score_views
from uota.inspection.table import ViewTable
from uota.views import Views

OUT = RESULTS / "eyes.jsonl"
STAMPS, CLIP_ART = "/usr/share/tuxpaint/stamps", "/usr/share/openclipart/png"
PHOTOGRAPHS = "photographs"
DATA = (STAMPS, CLIP_ART, "demo-drawings", "demo", PHOTOGRAPHS)
INJECTED = (0.0, 0.05, 0.1, 0.25)
ARBITERS = (THUMBNAILS, "pretrained", "learned", CHOSEN)
IMAGES, TINY_IMAGES = 600, 24


class Run(NamedTuple):
    """The fields that identify a line of results."""

    data: str
    seed: int
    inject: float


def measure(run: Run, images: int = IMAGES) -> dict[str, Any]:
    """Inspect with each arbiter, and return the line of results."""
    began = time.process_time()
    subject = open_subject(run, images)
    judges = dict(judges_of(subject))
    tables = {name: score_by(subject, judge) for name, judge in judges.items()}
    rows = {name: figures(table) for name, table in tables.items()}
    return run._asdict() | {"images": len(subject.order), "cpu_seconds": round(time.process_time() - began)} | rows


def open_subject(run: Run, images: int) -> InspectionInput:
    """Open the pictures of a data set and the pipeline of their views, as `uota inspect` does."""
    data = photographs() if run.data == PHOTOGRAPHS else run.data
    return open_input(data, None, "auto", {}, run.inject, run.seed, most=images)


def judges_of(subject: InspectionInput) -> Iterator[tuple[str, Judge]]:
    """Yield the arbiters by name; all score the images in the same halves, and features are computed once."""
    opened = open_eyes("auto", subject.preset)
    eyes = replace(opened, extract=remembered(opened.extract), sample=len(subject.order))
    features, first = sample_features(subject, eyes)
    fixed = {
        THUMBNAILS: learned(THUMBNAILS, 50),
        "pretrained": frozen(COMBINATIONS[0], CohortScore()),
        "learned": frozen(COMBINATIONS[0], CohortScore(), 100),
    }
    for name, candidate in fixed.items():
        yield name, replace(fit_judge(candidate, eyes, features, first, subject.pipeline.seed), by_halves=True)
    chosen, _, _ = choose_judge(subject, eyes, None)
    yield CHOSEN, replace(chosen, by_halves=True)


def remembered(extract: Callable[[Views], dict[str, torch.Tensor]]) -> Callable[[Views], dict[str, torch.Tensor]]:
    """Return a function that computes the features of each batch of images once."""
    made: dict[tuple[int, ...], dict[str, torch.Tensor]] = {}

    def seen(views: Views) -> dict[str, torch.Tensor]:
        key = tuple(views.index.tolist())
        if key not in made:
            made[key] = extract(views)
        return made[key]

    return seen


def score_by(subject: InspectionInput, judge: Judge) -> ViewTable:
    """Score all views by one arbiter."""
    return score_views(subject, ArbiterSet({CHOSEN: judge}, judge.embed, "", None, CHOSEN), bar=False)


def figures(table: ViewTable) -> dict[str, Any]:
    """Return an arbiter's figures; views of a single colour are not counted."""
    counted = ~table.shows_nothing
    probability = table.outlier_probability[counted].numpy()
    score = table.verdict.scores[counted].double().numpy()
    assert table.share is not None
    made: dict[str, Any] = {
        "rate": round(table.share.estimate, 4),
        "interval": [round(table.share.low, 4), round(table.share.high, 4)],
        "flagged": round(float((probability > 0.5).mean()), 4),
    }
    wrong = np.zeros_like(probability, dtype=bool) if table.wrong is None else table.wrong[counted].numpy()
    if not wrong.any():
        return made
    sure = probability >= 0.8
    made["true_rate"] = round(float(wrong.mean()), 4)
    made["auroc"] = round(float(roc_auc_score(wrong, -score)), 4)
    made["average_precision"] = round(float(average_precision_score(wrong, -score)), 4)
    made["sure"], made["sure_injected"] = int(sure.sum()), int(wrong[sure].sum())
    return made


def tables_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of two tables with means over seeds: without injected views, and with some."""
    keys = sorted({(row["data"], row["inject"]) for row in rows})
    cases = [[row for row in rows if (row["data"], row["inject"]) == key] for key in keys]
    flagged = [f"flagged by {name}" for name in ARBITERS]
    aurocs = [f"AUROC of {name}" for name in ARBITERS]
    shares = ["share by thumbnails", "share by chosen", "of P ≥ 0.8 by chosen, injected"]
    return [
        *_table(["pictures", "seeds", *flagged], [_clean_row(case) for case in cases if not case[0]["inject"]]),
        "",
        *_table(
            ["pictures", "seeds", "injected", *aurocs, *shares], [_row(case) for case in cases if case[0]["inject"]]
        ),
    ]


def _clean_row(case: list[dict[str, Any]]) -> list[str]:
    return [
        case[0]["data"],
        str(len(case)),
        *(f"{100 * _mean(case, name, 'flagged'):.2f} %" for name in ARBITERS),
    ]


def _row(case: list[dict[str, Any]]) -> list[str]:
    sure, right = (sum(row[CHOSEN][key] for row in case) for key in ("sure", "sure_injected"))
    injected, *shares = (
        f"{100 * _mean(case, name, key):.1f} %"
        for name, key in ((CHOSEN, "true_rate"), (THUMBNAILS, "rate"), (CHOSEN, "rate"))
    )
    aurocs = [f"{_mean(case, name, 'auroc'):.3f}" for name in ARBITERS]
    return [case[0]["data"], str(len(case)), injected, *aurocs, *shares, f"{right:,} of {sure:,}"]


def _mean(case: list[dict[str, Any]], name: str, key: str) -> float:
    return float(np.mean([row[name][key] for row in case]))


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *rows)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what has no line yet, and print the table; or draw pictures."""
    parser = make_parser("eyes", __doc__)
    parser.add_argument("data", nargs="*", metavar="DATA", help="folders of pictures, or names of sources")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--inject", nargs="+", type=float, default=list(INJECTED))
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the most suspicious views instead")
    asked = parse(parser, arguments, OUT)
    data = ["demo-drawings"] if asked.tiny else asked.data or list(DATA)
    images = TINY_IMAGES if asked.tiny else IMAGES
    if asked.pictures is not None:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for each in data:
            subject = open_subject(Run(each, 0, 0.0), images)
            judge, _, _ = choose_judge(subject, open_eyes("auto", subject.preset), None)
            draw_worst(subject, score_by(subject, judge), asked.pictures / f"eyes-{Path(each).name}.png")
        return
    runs = [Run(*each) for each in product(data, asked.seeds, asked.inject)]
    make_missing(asked.out, runs[:1] if asked.tiny else runs, partial(measure, images=images), processes=1)
    print("\n".join(tables_of(read_lines(asked.out))))


if __name__ == "__main__":
    start(main)
