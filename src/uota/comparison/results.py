"""The results among a run's files: whatever tells top1, top5 or average precision, in per cent.

    linear.json, knn.json, …    {"top1": 55.9, "top5": 96.1, "data": …, "settings": {…}}
    detection/result.json, …    {"boxes": {"ap": 38.1, "ap50": 58.0, "ap75": 41.2}, "settings": {…}}

Average precisions may also stand by themselves, as ap_mask, ap50_mask and ap75_mask. What is null is missing.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from uota.console import printable
from uota.errors import UotaError
from uota.io.reading import read_json
from uota.settings.evaluation import SETTINGS

SHARES = {"top1": "top-1", "top5": "top-5"}
PRECISIONS = ("AP", "AP50", "AP75")
# Results have some hundred bytes; a file of more may lie beside them, and is no result.
FILE_BYTES = 4 * 2**20
DEEPEST = 3  # levels at which figures are looked for
HIGHEST = 100.001  # per cent, and the rounding of float32
# Settings that say how something is computed, not what; runs that differ in nothing else are of the same kind.
OPERATIONAL = {"seed", "workers", "accelerator", "devices", "threads", "compile", "checkpoint_every"}
OPERATIONAL |= {"image_megabytes"}


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
        UotaError: it cannot be read, or is a result without figures or with impossible ones.
    """
    try:
        content = read_json(file, FILE_BYTES)
        figures = dict(_figures(content)) if isinstance(content, dict) else {}
        conditions = json.dumps(_conditions(content), sort_keys=True) if figures else ""
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, str(error)) from error
    protocol = file.parent.name if file.name == "result.json" else file.stem
    if not figures:
        if file.name == "result.json" or _is_protocol(protocol):
            raise _unusable(file, "it has no accuracy or average precision")
        return {}, None
    wrong = next((name for name, value in figures.items() if not _is_figure(value)), None)
    if wrong:
        raise _unusable(file, f"its {wrong} is {str(figures[wrong])[:40]}, and no number from 0 to 100")
    found = {Column(protocol, conditions, name): float(value) for name, value in figures.items() if value is not None}
    encoder = content.get("encoder")
    return found, encoder if isinstance(encoder, str) else None


def _unusable(file: Path, reason: str) -> UotaError:
    return UotaError(f"{printable(file)} cannot be read and is left out: {printable(reason)}; evaluate again")


def _is_protocol(name: str) -> bool:
    return any(name == protocol or name.startswith(f"{protocol}-") for protocol in SETTINGS)


def comparable(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without what changes nothing but speed and chance; a folder of data by where it really is."""
    kept = {name: value for name, value in settings.items() if name not in OPERATIONAL}
    for name in ("data", "coco"):
        if isinstance(kept.get(name), str):
            kept[name] = place_of(kept[name])
    return kept


def place_of(path: Path | str) -> str:
    """Where a file or folder really is; as it was given where there is none of that name."""
    with suppress(OSError, ValueError, RuntimeError):  # not there, a name that no file can have, a link to itself
        return str(Path(path).resolve(strict=True))
    return str(path)


def _conditions(content: dict[str, Any]) -> dict[str, Any]:
    settings = content.get("settings")
    return comparable({"data": content.get("data")} | (settings if isinstance(settings, dict) else {}))


def _figures(content: dict[str, Any], part: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        head, _, tail = key.partition("_")
        if isinstance(value, dict) and key != "settings" and depth < DEEPEST:
            yield from _figures(value, tail if head.upper() == "AP" else key, depth + 1)
        elif head.upper() in PRECISIONS:
            yield f"{head.upper()} {tail or part}".strip(), value
        elif key in SHARES and not part:
            yield SHARES[key], value


def _is_figure(value: Any) -> bool:
    """A number of per cent; None where nothing was measured."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= HIGHEST)
