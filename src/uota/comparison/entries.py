"""The entries of a comparison: folders of runs, and of evaluations of third-party weights."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uota.comparison.results import Column, canonical_path, comparable_settings, read_result, result_files
from uota.errors import UotaError
from uota.runs.run import Run

# Settings that have no effect without arbitration.
ARBITRATION = (
    "arbiter",
    "eyes",
    "weighted_side",
    "start",
    "tau",
    "ess",
    "anchors",
    "covariance",
    "candidates",
)


@dataclass(frozen=True)
class Entry:
    """A folder to compare.

    Attributes:
        folder: folder of the run, or of results alone.
        method: name of the method, or of the third-party weights.
        shared: settings that a baseline must share, with the number of epochs or steps done; empty for third-party
            weights.
        arbitration: settings of the arbitration; empty: there was none.
        seed: seed of the run; None for third-party weights.
        planned: number of epochs or steps that the run was started with; None for third-party weights.
        results: all figures, in per cent.
        unreadable: names of result files that cannot be read.
    """

    folder: Path
    method: str
    shared: dict[str, Any]
    arbitration: dict[str, Any]
    seed: int | None
    planned: int | None
    results: dict[Column, float]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A folder that cannot be compared, and the reason."""

    folder: Path
    reason: str


def read_entries(folders: Iterable[Path]) -> tuple[list[Entry], list[Skipped], list[str]]:
    """Read folders, and return the entries, the skipped folders and notes on anything unexpected.

    A folder that contains runs is replaced by them.
    """
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    notes: list[str] = []
    for folder in _expand_folders(folders, notes):
        read = _read(folder, notes)
        if isinstance(read, Entry):
            entries.append(read)
        else:
            skipped.append(read)
            notes.append(f"left out: {read.reason}")
    return entries, skipped, notes


def _read(folder: Path, notes: list[str]) -> Entry | Skipped:
    """Read a folder's entry; if that fails for any reason, the folder is skipped and the others are compared."""
    try:
        results, encoder, unreadable = _results(folder, notes)
        return replace(_entry(folder, results, encoder, notes), unreadable=unreadable)
    except UotaError as error:
        return Skipped(folder, str(error))
    except Exception as error:  # files of other versions and broken checkpoints may raise anything
        reason = f"{type(error).__name__}: {error}"
        return Skipped(folder, f"{folder} cannot be read: {reason}; is it the folder of another version's run?")


def _expand_folders(folders: Iterable[Path], notes: list[str]) -> list[Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for each in _runs_within(folder):
            place = canonical_path(each)
            if place in found:
                notes.append(f"{each} is given twice and counted once")
            found.setdefault(place, each)
    return list(found.values())


def _runs_within(folder: Path) -> list[Path]:
    """Return the runs inside a folder that is not a run itself, or else the folder, which `_read` will diagnose."""
    try:
        within = [] if (folder / "settings.json").exists() else sorted(folder.glob("*/settings.json"))
    except (OSError, ValueError, RuntimeError):
        within = []
    return [file.parent for file in within] or [folder]


def _results(folder: Path, notes: list[str]) -> tuple[dict[Column, float], str | None, tuple[str, ...]]:
    results: dict[Column, float] = {}
    encoder = None
    unreadable = []
    for file in result_files(folder):
        try:
            figures, name = read_result(file)
        except UotaError as error:
            notes.append(str(error))
            unreadable.append(str(file.relative_to(folder)))
            continue
        results |= figures
        encoder = name if figures and name else encoder
    return results, encoder, tuple(unreadable)


def _entry(folder: Path, results: dict[Column, float], encoder: str | None, notes: list[str]) -> Entry:
    run = Run(folder)
    if encoder and not run.settings_file.exists():
        return Entry(folder, encoder, {}, {}, None, None, results)
    settings = run.settings().as_flat()
    unit = "epochs" if settings["steps"] is None else "steps"
    planned = settings[unit]
    if planned is None:
        raise UotaError(f"{run.settings_file} gives neither epochs nor steps; is it the file of a run?")
    done = _done(run, unit, planned, bool(results), notes)
    shared = comparable_settings(settings) | {unit: done}
    arbitration = {name: shared.pop(name) for name in ARBITRATION}
    if arbitration["arbiter"] == "none" and arbitration["candidates"] == 1:
        arbitration = {}
    else:  # the released recipe raises the learning rate when arbitration starts, so its baseline has no such factor
        arbitration["late_factor"] = shared["late_factor"]
        shared["late_factor"] = 1.0
    return Entry(folder, settings["method"], shared, arbitration, settings["seed"], planned, results)


def _done(run: Run, unit: str, planned: int, evaluated: bool, notes: list[str]) -> int:
    if evaluated and not run.checkpoint.exists():
        notes.append(f"{run.folder} has results but no checkpoint any more; it is assumed to be finished")
        return planned
    done = run.epochs_done() if unit == "epochs" else run.steps_done()
    if done < planned:
        notes.append(
            f"{run.folder} is not finished, {done} of {planned} {unit} are done, and is not compared with other runs; "
            f"resume it with uota pretrain --out {run.folder} --resume"
        )
    return done
