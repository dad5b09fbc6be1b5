"""The table: a row for all seeds of the same settings, with the gain over the same method without arbitration."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uota.comparison.entries import Entry, Unread, read_entries
from uota.comparison.names import as_words, brief, differing, distinguishing_keys, format_settings, row_title
from uota.comparison.results import PRECISIONS, Column
from uota.comparison.statistics import Estimate, Gain
from uota.errors import UotaError
from uota.settings.evaluation import SETTINGS

LONGEST_TITLE = 300  # characters
FIGURES = ("top-1", "top-5", *PRECISIONS)


@dataclass(frozen=True)
class Figure:
    """A cell: the mean over seeds, and the gain over the row without arbitration, None where there is none to tell."""

    value: Estimate
    gain: Gain | None


@dataclass(frozen=True)
class Row:
    """Runs of the same settings, a seed each.

    Attributes:
        method: as a person calls it, with what arbitrates.
        epochs: 12, or 3 of 12; None of weights from elsewhere.
        batch: images per step.
        others: settings that tell this row from others, such as inject 0.1, and results that cannot be read.
        entries: the runs.
        figures: by the table's columns; None: nobody evaluated that.
    """

    method: str
    epochs: str | None
    batch: int | None
    others: str
    entries: tuple[Entry, ...]
    figures: tuple[Figure | None, ...]

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return [entry.seed for entry in self.entries if entry.seed is not None]


@dataclass(frozen=True)
class Comparison:
    """The table.

    Attributes:
        columns: headings of the figures.
        rows: methods in the order in which they were given, each first without arbitration.
        unread: folders that cannot be compared, and why.
        notes: sentences on what is not as one would expect.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    unread: tuple[Unread, ...]
    notes: tuple[str, ...]

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain values, missing ones as None: figures in per cent, gains and intervals in points."""
        return [_record(row, self.columns) for row in self.lines]

    @property
    def lines(self) -> list[Row]:
        """All rows of the table, at the end one without figures for each folder that cannot be compared."""
        return [*self.rows, *(_as_row(each, len(self.columns)) for each in self.unread)]


def compare(folders: Iterable[Path]) -> Comparison:
    """Compare the evaluations of runs: means over seeds, and gains paired by seed.

    Runs are averaged when they differ in nothing but the seed, and compared when they differ in nothing but arbitration
    and were evaluated alike; everything else gets a row or a column of its own, and a note.

    Args:
        folders: of runs, of runs' folders, or of evaluations of weights from elsewhere.

    Raises:
        UotaError: none of them can be compared.
    """
    entries, unread, notes = read_entries(folders)
    if not entries:
        raise UotaError("; ".join(notes) or "there is nothing to compare; give folders of runs")
    groups = _grouped(entries, notes)
    columns = sorted({column for entry in entries for column in entry.results}, key=_place)
    if not columns:
        notes.append(f"nothing is evaluated yet; uota evaluate linear {entries[0].folder}, for one")
    names = [group[0] for group in groups]
    rows = []
    for group in groups:
        plain = _without_arbitration(group, groups, notes)
        figures = tuple(_figure(column, group, plain, notes) for column in columns)
        first = group[0]
        epochs = None if first.planned is None else _of(first.shared["epochs"], first.planned)
        others = format_settings(first.shared, distinguishing_keys(first, names))
        broken = [f"{entry.folder.name}/{file} cannot be read" for entry in group for file in entry.unread]
        method = row_title(first, names)
        others = ", ".join(filter(None, [others, *broken]))
        rows.append(Row(method, epochs, first.shared.get("batch_size"), others, tuple(group), figures))
    return Comparison(_titles(columns, notes), tuple(rows), tuple(unread), tuple(notes))


def _as_row(unread: Unread, columns: int) -> Row:
    """A row that says of a folder that it cannot be read."""
    is_said = "cannot be read" in unread.reason[:LONGEST_TITLE]  # before a long one is cut
    reason = unread.reason if is_said else f"cannot be read: {unread.reason}"
    return Row(str(unread.folder), None, None, reason, (), (None,) * columns)


def _grouped(entries: list[Entry], notes: list[str]) -> list[list[Entry]]:
    """Entries of the same settings, one per seed: groups of the same method together, the plain one first."""
    groups: dict[str, dict[str, dict[int | None, Entry]]] = {}
    for entry in entries:
        shared = json.dumps([entry.method, entry.shared or str(entry.folder)], sort_keys=True)
        arbitration = json.dumps(entry.arbitration, sort_keys=True)
        seeds = groups.setdefault(shared, {}).setdefault(arbitration, {})
        if entry.seed not in seeds:
            seeds[entry.seed] = entry
            continue
        kept, dropped = seeds[entry.seed], entry
        if len(dropped.results) > len(kept.results):
            kept, dropped = dropped, kept
        seeds[entry.seed] = kept
        notes.append(
            f"{dropped.folder} has the settings and the seed {entry.seed} of {kept.folder}, so it is no further "
            "sample, and is left out"
        )
    ordered = sorted(groups.values(), key=lambda alike: _first_of_method(alike, entries))
    return [
        list(seeds.values()) for alike in ordered for _, seeds in sorted(alike.items(), key=lambda of: of[0] != "{}")
    ]


def _first_of_method(alike: dict[str, dict[int | None, Entry]], entries: list[Entry]) -> int:
    method = next(iter(next(iter(alike.values())).values())).method
    return [entry.method for entry in entries].index(method)


def _without_arbitration(group: list[Entry], groups: list[list[Entry]], notes: list[str]) -> list[Entry]:
    """The runs that a group's gain is over; none, and a note, where there are none."""
    first = group[0]
    if not first.arbitration:
        return []
    plain = [
        other for other in groups if other[0].method == first.method and other[0].shared and not other[0].arbitration
    ]
    for other in plain:
        if other[0].shared == first.shared:
            if not {entry.seed for entry in other} & {entry.seed for entry in group}:
                notes.append(f"{first.folder} has no seed in common with {other[0].folder}, so no gain can be told")
            return other
    if not plain:
        notes.append(f"{first.folder} has no gain: no run of {first.method} without arbitration was given")
        return []
    nearest = min(plain, key=lambda other: len(differing([first.shared, other[0].shared])))[0]
    differences = ", ".join(
        f"{name} {as_words(first.shared.get(name))} and {as_words(nearest.shared.get(name))}"
        for name in differing([first.shared, nearest.shared])
    )
    notes.append(f"{first.folder} has no gain over {nearest.folder}: they differ in {differences}")
    return []


def _figure(column: Column, group: list[Entry], plain: list[Entry], notes: list[str]) -> Figure | None:
    values, before = _by_seed(column, group), _by_seed(column, plain)
    if not values:
        return None
    where = f"{column.protocol} of {group[0].folder} and its other seeds"
    if len(values) < len(group):
        _add(notes, f"{where} is the mean of {len(values)} of {len(group)} runs; the others are not evaluated")
    differences = [values[seed] - before[seed] for seed in values if seed in before]
    if 0 < len(differences) < len(values):
        _add(notes, f"the gain in {where} is over the {len(differences)} seed(s) that both have")
    return Figure(Estimate.of(list(values.values())), Gain.of(differences) if differences else None)


def _by_seed(column: Column, entries: list[Entry]) -> dict[int | None, float]:
    return {entry.seed: entry.results[column] for entry in entries if column in entry.results}


def _add(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _place(column: Column) -> tuple[Any, ...]:
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
    """Headings; where a protocol was run under several conditions they tell in which they differ."""
    titles: list[str] = []
    for column in columns:
        kinds = {other.conditions for other in columns if other.protocol == column.protocol}
        names = differing([json.loads(kind) for kind in sorted(kinds)])
        kind = f" ({format_settings(json.loads(column.conditions), names)})" if names else ""
        titles.append(_unlike(titles, brief(f"{column.protocol}{kind} {column.figure}", LONGEST_TITLE)))
        if names:
            _add(notes, f"{column.protocol} was not run alike everywhere ({', '.join(names)}): several columns of it")
    return tuple(titles)


def _unlike(others: Sequence[str], title: str) -> str:
    """The title, with a number where the beginnings of two long ones are alike."""
    count = sum(other == title or other.startswith(f"{title} [") for other in others)
    return f"{title} [{count + 1}]" if count else title


def _of(done: int, planned: int) -> str:
    return str(planned) if done == planned else f"{done} of {planned}"


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
