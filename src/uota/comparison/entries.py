"""What is compared: folders of runs, and of results of weights from elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.comparison.results import Column, comparable, read_result, result_files
from uota.errors import UotaError
from uota.runs import Run

# What a run without arbitration has no use for.
ARBITRATION = ("arbiter", "look", "weigh", "start", "tau", "ess", "anchors", "covariance", "candidates")


@dataclass(frozen=True)
class Entry:
    """A folder to compare.

    Attributes:
        folder: of the run, or of results alone.
        method: its name, or that of the weights from elsewhere.
        shared: the settings that a run without arbitration must share to be compared with it; epochs: those that are
            done. Empty for weights from elsewhere.
        arbitration: settings of the arbitration; empty: there was none.
        seed: None for weights from elsewhere.
        planned: epochs, of which `shared` may tell fewer.
        results: every figure, in per cent.
    """

    folder: Path
    method: str
    shared: dict[str, Any]
    arbitration: dict[str, Any]
    seed: int | None
    planned: int | None
    results: dict[Column, float]


def read_entries(folders: Iterable[Path]) -> tuple[list[Entry], list[str]]:
    """All that can be compared, and a sentence on everything that is not as one would expect.

    A folder that is no run but holds some stands for them.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    for folder in _with_those_within(folders, notes):
        results, encoder = _results(folder, notes)
        try:
            entry = _entry(folder, results, encoder, notes)
        except UotaError as error:
            notes.append(f"left out: {error}")
        else:
            entries.append(entry)
    return entries, notes


def _with_those_within(folders: Iterable[Path], notes: list[str]) -> list[Path]:
    found: dict[Path, Path] = {}
    for folder in folders:
        within = [] if (folder / "settings.json").exists() else sorted(folder.glob("*/settings.json"))
        for each in [file.parent for file in within] or [folder]:
            if each.resolve() in found:
                notes.append(f"{each} is given twice and counted once")
            found.setdefault(each.resolve(), each)
    return list(found.values())


def _results(folder: Path, notes: list[str]) -> tuple[dict[Column, float], str | None]:
    results: dict[Column, float] = {}
    encoder = None
    for file in result_files(folder):
        try:
            found, name = read_result(file)
        except UotaError as error:
            notes.append(str(error))
            continue
        results |= found
        encoder = name if found and name else encoder
    return results, encoder


def _entry(folder: Path, results: dict[Column, float], encoder: str | None, notes: list[str]) -> Entry:
    run = Run(folder)
    if encoder and not run.settings_file.exists():
        return Entry(folder, encoder, {}, {}, None, None, results)
    settings = run.settings().as_dict()
    done = _epochs_done(run, settings["epochs"], bool(results), notes)
    shared = comparable(settings) | {"epochs": done}
    arbitration = {name: shared.pop(name) for name in ARBITRATION}
    if arbitration["arbiter"] == "none" and arbitration["candidates"] == 1:
        arbitration = {}
    else:  # the released recipe doubles the rate for the arbiter's sake, without arbitration there is nothing to double
        arbitration["late_factor"] = shared["late_factor"]
        shared["late_factor"] = 1.0
    return Entry(folder, settings["method"], shared, arbitration, settings["seed"], settings["epochs"], results)


def _epochs_done(run: Run, planned: int, evaluated: bool, notes: list[str]) -> int:
    if evaluated and not run.checkpoint.exists():
        notes.append(f"{run.folder} has results and no checkpoint any more; it is taken for finished")
        return planned
    done = run.epochs_done()
    if done < planned:
        notes.append(
            f"{run.folder} is not finished, {done} of {planned} epochs are done, and is compared with no other; "
            f"uota pretrain --out {run.folder} --resume goes on"
        )
    return done
