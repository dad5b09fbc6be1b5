"""What rows and their settings are called, so that a reader can tell one from another."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from uota.comparison.entries import Entry
from uota.console import printable
from uota.methods import METHODS

# Shown in columns of their own.
SHOWN = {"method", "epochs", "batch_size"}
# Of these, what differs is told for every row; of the rest, where it differs among rows of a method.
IMAGES = {"data", "inject", "inject_from"}


def row_title(entry: Entry, others: list[Entry]) -> str:
    """As a table of a paper would call it: SwAV + learned on features."""
    card = METHODS.get(entry.method)
    title = card.title if card else entry.method.rpartition(".")[2] if entry.shared else entry.method
    if not entry.arbitration:
        return title
    parts = []
    if entry.arbitration["arbiter"] != "none":
        parts.append(f"{entry.arbitration['arbiter']} on {entry.arbitration['look']}")
    if entry.arbitration["candidates"] > 1:
        parts.append(f"{entry.arbitration['candidates']} candidates")
    alike = [other.arbitration for other in others if other.arbitration and other.method == entry.method]
    alike = [each for each in alike if all(each[name] == entry.arbitration[name] for name in ("arbiter", "look"))]
    names = [name for name in differing(alike) if name != "candidates"]
    return f"{title} + {', '.join(parts + ([format_settings(entry.arbitration, names)] if names else []))}"


def distinguishing_keys(entry: Entry, others: list[Entry]) -> list[str]:
    """The shared settings that tell an entry from others."""
    if not entry.shared:
        return []
    of_method = differing([other.shared for other in others if other.method == entry.method and other.shared])
    of_all = differing([other.shared for other in others if other.shared])
    return [name for name in of_all if name not in SHOWN and (name in IMAGES or name in of_method)]


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Names of what is not the same in all."""
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if any(each.get(name) != settings[0].get(name) for each in settings)]


def format_settings(settings: dict[str, Any], names: Iterable[str]) -> str:
    """As inject 0.1, tau 350."""
    return ", ".join(f"{name} {as_words(settings.get(name))}" for name in names)


def as_words(value: Any) -> str:
    """A setting as it stands in a YAML file; only the beginning of a long one."""
    return brief(value if isinstance(value, str) else json.dumps(value))


def brief(text: str, at_most: int = 120) -> str:
    """Text on one line that a terminal takes, cut where it is too long for a table."""
    shown = printable(text)
    return shown if len(shown) <= at_most else f"{shown[:at_most]}…"
