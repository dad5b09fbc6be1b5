"""Titles of rows, and the settings that distinguish them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from uota.comparison.entries import Entry
from uota.console import printable
from uota.methods import METHODS

# Settings with columns of their own.
SHOWN = {"method", "epochs", "steps", "batch_size"}
# Settings that are shown if they differ between any rows; others are shown if they differ between rows of one method.
IMAGES = {"data", "inject", "inject_from"}


def short_names(folders: Sequence[Path]) -> dict[Path, str]:
    """Return for each folder the end of its path that no other folder has, such as "seed-0" or "a/seed-0"."""
    names = {}
    for folder in folders:
        parts = folder.resolve().parts
        ends = (parts[-length:] for length in range(1, len(parts)))
        others = [other.resolve().parts for other in folders if other != folder]
        unique = (end for end in ends if not any(other[-len(end) :] == end for other in others))
        names[folder] = printable("/".join(next(unique, parts)))
    return names


def row_title(entry: Entry, others: list[Entry]) -> str:
    """Return the title of an entry's row as in a paper's table, such as "SwAV + learned on features"."""
    card = METHODS.get(entry.method)
    title = card.title if card else entry.method.rpartition(".")[2] if entry.shared else entry.method
    if not entry.arbitration:
        return title
    parts = []
    if entry.arbitration["arbiter"] != "none":
        parts.append(f"{entry.arbitration['arbiter']} on {entry.arbitration['eyes']}")
    if entry.arbitration["candidates"] > 1:
        parts.append(f"{entry.arbitration['candidates']} candidates")
    alike = [other.arbitration for other in others if other.arbitration and other.method == entry.method]
    alike = [each for each in alike if all(each[name] == entry.arbitration[name] for name in ("arbiter", "eyes"))]
    names = [name for name in differing(alike) if name != "candidates"]
    return f"{title} + {', '.join(parts + ([format_settings(entry.arbitration, names)] if names else []))}"


def distinguishing_keys(entry: Entry, others: list[Entry]) -> list[str]:
    """Return the names of the shared settings that distinguish an entry from the others."""
    if not entry.shared:
        return []
    of_method = differing([other.shared for other in others if other.method == entry.method and other.shared])
    of_all = differing([other.shared for other in others if other.shared])
    return [name for name in of_all if name not in SHOWN and (name in IMAGES or name in of_method)]


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the settings that are not the same in all."""
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if any(each.get(name) != settings[0].get(name) for each in settings)]


def format_settings(settings: dict[str, Any], names: Iterable[str]) -> str:
    """Format settings for a title, such as "inject 0.1, tau 350"."""
    return ", ".join(f"{name} {as_words(settings.get(name))}" for name in names)


def as_words(value: Any) -> str:
    """Format the value of a setting as in a YAML file, truncated if it is long."""
    return shorten(value if isinstance(value, str) else json.dumps(value))


def shorten(text: str, at_most: int = 120) -> str:
    """Make text printable on one line, truncated to at most this many characters."""
    shown = printable(text)
    return shown if len(shown) <= at_most else f"{shown[:at_most]}…"
