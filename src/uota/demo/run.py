"""`uota demo`: finds drawings that are filed wrong, and trains on them without and with arbitration."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from uota.demo.archive import Archive, archive_in, open_parts, write_archive
from uota.demo.figures import Figures, measure, measure_run
from uota.demo.length import Length
from uota.demo.lists import Lists, make_lists
from uota.demo.picture import draw_list
from uota.demo.report import print_figures, print_lists
from uota.demo.training import Job, settings_of, train_side_by_side
from uota.io.atomic import write_text_atomically
from uota.membership.eyes import default_eyes, file_features

SHARE, FULL = 0.1, Length()
BEFORE, WITHOUT, WITH, KNOWING = "before", "without arbitration", "with arbitration", "without the misfiled"
PRETRAINING = "training three encoders for {} steps, side by side; the lines are the run with arbitration"


def run_demo(out: Path, seed: int, length: Length = FULL) -> dict[str, Any]:
    """Find the misfiled drawings, train three encoders, and evaluate them; print and save what comes out.

    Returns:
        What is also written to demo.json.
    """
    console, began = Console(highlight=False), time.monotonic()
    archive = archive_in(out)
    write_archive(archive, SHARE, seed, length.things)
    groups, test = open_parts(archive.drawings)
    eyes = default_eyes(groups.files)
    features = file_features(groups.files, eyes)
    lists = make_lists(groups, features, seed)
    _save_list(lists, out)
    print_lists(console, lists, out)
    console.print(f"\n{PRETRAINING.format(length.steps)}")
    before = measure(groups, test, features, file_features(test.files, eyes), seed)
    figures = {BEFORE: before} | _train(archive, out, seed, length)
    print_figures(console, figures)
    found = _result(seed, length, lists, figures)
    write_text_atomically(out / "demo.json", json.dumps(found, indent=1))
    console.print(f"{time.monotonic() - began:.0f} s; all figures are in {out / 'demo.json'}")
    return found


def _save_list(lists: Lists, out: Path) -> None:
    lists.found.save(out / "misfiled.csv")
    lists.found.save_page(out / "misfiled.html")
    draw_list(lists, out / "misfiled.png")


def _train(archive: Archive, out: Path, seed: int, length: Length) -> dict[str, Figures]:
    """Train encoders side by side, and measure them."""
    settings, known = (settings_of(folder, seed, length) for folder in (archive.drawings, archive.known))
    jobs = {
        WITHOUT: Job(settings.replace_flat(arbiter="none"), out / "without", lines=False),
        WITH: Job(settings, out / "with", lines=True),
        KNOWING: Job(known.replace_flat(arbiter="none"), out / "knowing", lines=False),
    }
    measured = train_side_by_side(list(jobs.values()), partial(measure_run, drawings=archive.drawings, seed=seed))
    return dict(zip(jobs, measured, strict=True))


def _result(seed: int, length: Length, lists: Lists, figures: dict[str, Figures]) -> dict[str, Any]:
    members = lists.found.members
    return {
        "seed": seed,
        "steps": length.steps,
        "files": len(lists.wrong),
        "misfiled": int(lists.wrong.sum()),
        "precision": {name: round(each, 4) for name, each in lists.precision.items()},
        "share": round(members.share, 4),
        "interval": [round(each, 4) for each in members.interval],
        "encoders": {
            name: {key: round(each, 4) for key, each in found._asdict().items()} for name, found in figures.items()
        },
    }
