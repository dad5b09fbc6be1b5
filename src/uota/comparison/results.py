"""The results among a run's files: whatever tells top1, top5 or average precision, in per cent.

    linear.json, knn.json, …    {"top1": 55.9, "top5": 96.1, "data": …, "settings": {…}}
    detection/result.json, …    {"boxes": {"ap": 38.1, "ap50": 58.0, "ap75": 41.2}, "settings": {…}}

Average precisions may also stand by themselves, as ap_mask, ap50_mask and ap75_mask. What is null is missing.
"""

import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from uota.errors import UotaError

SHARES = {"top1": "top-1", "top5": "top-5"}
PRECISIONS = ("AP", "AP50", "AP75")
# Settings that say how something is computed, not what; runs that differ in nothing else are of the same kind.
OPERATIONAL = {"seed", "workers", "accelerator", "devices", "threads", "compile", "checkpoint_every"}


class Column(NamedTuple):
    """What a figure is of; figures of other conditions are never averaged or compared.

    Attributes:
        protocol: linear, knn, linear-sgd, finetune-10, detection, …
        conditions: the protocol's data and settings, as JSON.
        figure: top-1, AP boxes, …
    """

    protocol: str
    conditions: str
    figure: str


def result_files(folder: Path) -> list[Path]:
    """All that may hold results."""
    return sorted(set(folder.glob("*.json")) - {folder / "settings.json"}) + sorted(folder.glob("*/result.json"))


def read_result(file: Path) -> tuple[dict[Column, float], str | None]:
    """The figures of a file, none if it is no result, and the name of the encoder that they are of.

    Raises:
        UotaError: it cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UotaError(f"{file} cannot be read and is left out: {error}; evaluate again") from error
    if not isinstance(content, dict):
        return {}, None
    protocol = file.parent.name if file.name == "result.json" else file.stem
    conditions = json.dumps(_conditions(content), sort_keys=True)
    found = {Column(protocol, conditions, name): float(value) for name, value in _figures(content) if _is_figure(value)}
    encoder = content.get("encoder")
    return found, encoder if isinstance(encoder, str) else None


def comparable(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what changes nothing but speed and chance; a folder of data by where it really is."""
    kept = {name: value for name, value in settings.items() if name not in OPERATIONAL}
    for name in ("data", "coco"):
        if isinstance(kept.get(name), str) and Path(kept[name]).exists():
            kept[name] = str(Path(kept[name]).resolve())
    return kept


def _conditions(content: dict[str, Any]) -> dict[str, Any]:
    settings = content.get("settings")
    return comparable({"data": content.get("data")} | (settings if isinstance(settings, dict) else {}))


def _figures(content: dict[str, Any], part: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        head, _, tail = key.partition("_")
        if isinstance(value, dict) and key != "settings":
            yield from _figures(value, tail if head.upper() == "AP" else key)
        elif head.upper() in PRECISIONS:
            yield f"{head.upper()} {tail or part}".strip(), value
        elif key in SHARES and not part:
            yield SHARES[key], value


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
