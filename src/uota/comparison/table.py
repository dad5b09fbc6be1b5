"""The table: one row for all seeds of the same settings, with gains over the same method without arbitration."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.comparison.entries import Entry, Skipped, read_entries
from uota.comparison.names import as_words, differing, distinguishing_keys, format_settings, row_title, shorten
from uota.comparison.results import PRECISIONS, Column
from uota.comparison.statistics import Estimate, Gain
from uota.errors import UotaError
from uota.settings.evaluation import SETTINGS

MAX_TITLE = 300  # characters
FIGURES = ("top-1", "top-5", *PRECISIONS)


@dataclass(frozen=True)
class Figure:
    """A cell of the table: the mean over seeds, and the gain over the baseline (None if there is no baseline)."""

    value: Estimate
    gain: Gain | None


@dataclass(frozen=True)
class Row:
    """Runs with the same settings and different seeds.

    Attributes:
        method: title with the method and its arbitration.
        epochs: length, such as "12", "3 of 12" or "200 steps"; None for third-party weights.
        batch: images per step; None for third-party weights.
        others: settings that distinguish this row, such as "inject 0.1", and result files that cannot be read.
        entries: the runs, one per seed.
        figures: one figure for each column of the table; None: not evaluated.
    """

    method: str
    epochs: str | None
    batch: int | None
    others: str
    entries: tuple[Entry, ...]
    figures: tuple[Figure | None, ...]

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [entry.seed for entry in self.entries if entry.seed is not None]


@dataclass(frozen=True)
class Comparison:
    """The table of a comparison.

    Attributes:
        columns: headings of the figures.
        rows: rows in the order in which their methods were given, each method's baseline first.
        skipped: folders that cannot be compared, and the reasons.
        notes: sentences on anything unexpected.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as plain values, missing ones as None: figures in per cent, gains in percentage points."""
        return [_record(row, self.columns) for row in self.lines]

    @property
    def lines(self) -> list[Row]:
        """All rows of the table, followed by one without figures for each skipped folder."""
        return [*self.rows, *(_row_of_skipped(each, len(self.columns)) for each in self.skipped)]


def compare(folders: Iterable[Path]) -> Comparison:
    """Compare the evaluations of runs: means over seeds, and gains paired by seed.

    Runs are averaged if they differ only in the seed, and compared if they differ only in arbitration and were
    evaluated under the same conditions. Everything else gets a row or a column of its own, and a note.

    Args:
        folders: folders of runs, folders that contain runs, or folders of evaluations of third-party weights.

    Raises:
        UotaError: none of the folders can be compared.
    """
    entries, skipped, notes = read_entries(folders)
    if not entries:
        raise UotaError("; ".join(notes) or "there is nothing to compare; give folders of runs")
    row_entries = _same_settings(entries, notes)
    columns = sorted({column for entry in entries for column in entry.results}, key=_column_order)
    if not columns:
        notes.append(f"no run is evaluated yet; start with: uota evaluate linear {entries[0].folder}")
    firsts = [of_row[0] for of_row in row_entries]
    rows = []
    for of_row in row_entries:
        baseline = _baseline_of(of_row, row_entries, notes)
        figures = tuple(_figure(column, of_row, baseline, notes) for column in columns)
        first = of_row[0]
        epochs = None if first.planned is None else _format_length(first.shared, first.planned)
        others = format_settings(first.shared, distinguishing_keys(first, firsts))
        unreadable = [f"{entry.folder.name}/{file} cannot be read" for entry in of_row for file in entry.unreadable]
        method = row_title(first, firsts)
        others = ", ".join(filter(None, [others, *unreadable]))
        rows.append(Row(method, epochs, first.shared.get("batch_size"), others, tuple(of_row), figures))
    return Comparison(_titles(columns, notes), tuple(rows), tuple(skipped), tuple(notes))


def _row_of_skipped(skipped: Skipped, columns: int) -> Row:
    """Return a row without figures that says why a folder was skipped."""
    says_so = "cannot be read" in skipped.reason[:MAX_TITLE]  # the rest of a long reason is not shown
    reason = skipped.reason if says_so else f"cannot be read: {skipped.reason}"
    return Row(str(skipped.folder), None, None, reason, (), (None,) * columns)


def _same_settings(entries: list[Entry], notes: list[str]) -> list[list[Entry]]:
    """Return lists of entries with the same settings and different seeds, each method's baseline first."""
    by_settings: dict[str, dict[str, dict[int | None, Entry]]] = {}
    for entry in entries:
        shared = json.dumps([entry.method, entry.shared or str(entry.folder)], sort_keys=True)
        arbitration = json.dumps(entry.arbitration, sort_keys=True)
        seeds = by_settings.setdefault(shared, {}).setdefault(arbitration, {})
        if entry.seed not in seeds:
            seeds[entry.seed] = entry
            continue
        kept, dropped = seeds[entry.seed], entry
        if len(dropped.results) > len(kept.results):
            kept, dropped = dropped, kept
        seeds[entry.seed] = kept
        notes.append(
            f"{dropped.folder} has the settings and the seed {entry.seed} of {kept.folder}, so it is not an "
            "independent sample and is left out"
        )
    ordered = sorted(by_settings.values(), key=lambda by_arbitration: _first_of_method(by_arbitration, entries))
    return [
        list(seeds.values())
        for by_arbitration in ordered
        for _, seeds in sorted(by_arbitration.items(), key=lambda of: of[0] != "{}")
    ]


def _first_of_method(by_arbitration: dict[str, dict[int | None, Entry]], entries: list[Entry]) -> int:
    method = next(iter(next(iter(by_arbitration.values())).values())).method
    return [entry.method for entry in entries].index(method)


def _baseline_of(of_row: list[Entry], row_entries: list[list[Entry]], notes: list[str]) -> list[Entry]:
    """Return the runs without arbitration that a row is compared with; if there are none, add a note."""
    first = of_row[0]
    if not first.arbitration:
        return []
    candidates = [
        other
        for other in row_entries
        if other[0].method == first.method and other[0].shared and not other[0].arbitration
    ]
    for other in candidates:
        if other[0].shared == first.shared:
            if not {entry.seed for entry in other} & {entry.seed for entry in of_row}:
                notes.append(f"{first.folder} has no seed in common with {other[0].folder}, so it has no gain")
            return other
    if not candidates:
        notes.append(f"{first.folder} has no gain: no run of {first.method} without arbitration was given")
        return []
    nearest = min(candidates, key=lambda other: len(differing([first.shared, other[0].shared])))[0]
    differences = ", ".join(
        f"{name} {as_words(first.shared.get(name))} and {as_words(nearest.shared.get(name))}"
        for name in differing([first.shared, nearest.shared])
    )
    notes.append(f"{first.folder} has no gain over {nearest.folder}: they differ in {differences}")
    return []


def _figure(column: Column, of_row: list[Entry], baseline: list[Entry], notes: list[str]) -> Figure | None:
    values, before = _by_seed(column, of_row), _by_seed(column, baseline)
    if not values:
        return None
    where = f"{column.protocol} of {of_row[0].folder} and its other seeds"
    if len(values) < len(of_row):
        _add_note(notes, f"{where} is the mean of {len(values)} of {len(of_row)} runs; the others are not evaluated")
    differences = [values[seed] - before[seed] for seed in values if seed in before]
    if 0 < len(differences) < len(values):
        _add_note(notes, f"the gain in {where} is over the {len(differences)} seed(s) that both have")
    return Figure(Estimate.of(list(values.values())), Gain.of(differences) if differences else None)


def _by_seed(column: Column, entries: list[Entry]) -> dict[int | None, float]:
    return {entry.seed: entry.results[column] for entry in entries if column in entry.results}


def _add_note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _column_order(column: Column) -> tuple[Any, ...]:
    protocols = [
        place
        for place, name in enumerate(SETTINGS)
        if column.protocol == name or column.protocol.startswith(f"{name}-")
    ]
    figure, _, part = column.figure.partition(" ")
    return (
        protocols[-1] if protocols else len(SETTINGS),
        column.protocol,
        column.conditions,
        part,
        FIGURES.index(figure),
    )


def _titles(columns: Sequence[Column], notes: list[str]) -> tuple[str, ...]:
    """Return the headings, which name the conditions in which columns of the same protocol differ."""
    titles: list[str] = []
    for column in columns:
        kinds = {other.conditions for other in columns if other.protocol == column.protocol}
        names = differing([json.loads(kind) for kind in sorted(kinds)])
        kind = f" ({format_settings(json.loads(column.conditions), names)})" if names else ""
        titles.append(_make_unique(titles, shorten(f"{column.protocol}{kind} {column.figure}", MAX_TITLE)))
        if names:
            _add_note(
                notes,
                f"{column.protocol} was run under different conditions ({', '.join(names)}): it has several columns",
            )
    return tuple(titles)


def _make_unique(others: Sequence[str], title: str) -> str:
    """Append a number to a title that is equal to an earlier one after truncation."""
    count = sum(other == title or other.startswith(f"{title} [") for other in others)
    return f"{title} [{count + 1}]" if count else title


def _format_length(shared: dict[str, Any], planned: int) -> str:
    steps = shared["steps"]
    done, unit = (shared["epochs"], "") if steps is None else (steps, " steps")
    return f"{planned}{unit}" if done == planned else f"{done} of {planned}{unit}"


def _record(row: Row, columns: tuple[str, ...]) -> dict[str, Any]:
    about = {"method": row.method, "epochs": row.epochs, "batch": row.batch, "settings": row.others}
    record: dict[str, Any] = about | {"seeds": row.seeds, "runs": [str(entry.folder) for entry in row.entries]}
    for column, figure in zip(columns, row.figures, strict=True):
        value, gain = (figure.value, figure.gain) if figure else (None, None)
        record[column] = value.mean if value else None
        record[f"{column} ±"] = value.half if value and value.count > 1 else None
        record[f"{column} gain"] = gain.mean if gain else None
        record[f"{column} gain ±"] = gain.half if gain and gain.pairs > 1 else None
        record[f"{column} gain p"] = gain.p if gain and gain.pairs > 1 else None
    return record
