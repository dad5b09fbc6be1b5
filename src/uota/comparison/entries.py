"""What is compared: folders of runs, and of results of weights from elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uota.comparison.results import Column, comparable, place_of, read_result, result_files
from uota.errors import UotaError
from uota.runs.run import Run

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
        unread: files of results that cannot be read.
    """

    folder: Path
    method: str
    shared: dict[str, Any]
    arbitration: dict[str, Any]
    seed: int | None
    planned: int | None
    results: dict[Column, float]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unread:
    """A folder that cannot be compared, and why."""

    folder: Path
    reason: str


def read_entries(folders: Iterable[Path]) -> tuple[list[Entry], list[Unread], list[str]]:
    """All that can be compared, all that cannot, and a sentence on everything that is not as one would expect.

    A folder that is no run but holds some stands for them.
    """
    entries: list[Entry] = []
    unread: list[Unread] = []
    notes: list[str] = []
    for folder in _with_those_within(folders, notes):
        found = _read(folder, notes)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            unread.append(found)
            notes.append(f"left out: {found.reason}")
    return entries, unread, notes


def _read(folder: Path, notes: list[str]) -> Entry | Unread:
    """A folder's entry; whatever is wrong with one is said of that one, and the others are compared."""
    try:
        results, encoder, unread = _results(folder, notes)
        return replace(_entry(folder, results, encoder, notes), unread=unread)
    except UotaError as error:
        return Unread(folder, str(error))
    except Exception as error:  # files of other versions and broken checkpoints raise about anything
        reason = f"{type(error).__name__}: {error}"
        return Unread(folder, f"{folder} cannot be read: {reason}; is it the folder of another version's run?")


def _with_those_within(folders: Iterable[Path], notes: list[str]) -> list[Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for each in _runs_within(folder):
            place = place_of(each)
            if place in found:
                notes.append(f"{each} is given twice and counted once")
            found.setdefault(place, each)
    return list(found.values())


def _runs_within(folder: Path) -> list[Path]:
    """The runs in a folder that is none; else the folder, of which its reader says what is wrong with it."""
    try:
        within = [] if (folder / "settings.json").exists() else sorted(folder.glob("*/settings.json"))
    except (OSError, ValueError, RuntimeError):
        within = []
    return [file.parent for file in within] or [folder]


def _results(folder: Path, notes: list[str]) -> tuple[dict[Column, float], str | None, tuple[str, ...]]:
    results: dict[Column, float] = {}
    encoder = None
    unread = []
    for file in result_files(folder):
        try:
            found, name = read_result(file)
        except UotaError as error:
            notes.append(str(error))
            unread.append(str(file.relative_to(folder)))
            continue
        results |= found
        encoder = name if found and name else encoder
    return results, encoder, tuple(unread)


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
