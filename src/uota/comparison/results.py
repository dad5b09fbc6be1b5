"""Reading of result files: any JSON file in a run's folder with top1, top5 or average precisions, in per cent.

    linear.json, knn.json, …    {"top1": 55.9, "top5": 96.1, "data": …, "settings": {…}}
    detection/result.json, …    {"boxes": {"ap": 38.1, "ap50": 58.0, "ap75": 41.2}, "settings": {…}}

Average precisions may also be at the top level, as ap_mask, ap50_mask and ap75_mask. A value of null is missing.
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
# Result files have a few hundred bytes, so larger files in the folder are something else.
FILE_BYTES = 4 * 2**20
MAX_DEPTH = 3  # levels of nesting that are searched for figures
MAX_PERCENT = 100.001  # 100 % and the rounding error of float32
# Settings that do not change what is computed, apart from chance; runs that differ only in these are averaged.
OPERATIONAL = {"seed", "workers", "accelerator", "devices", "nodes", "strategy", "threads", "compile"}
OPERATIONAL |= {"checkpoint_activations", "checkpoint_every", "image_megabytes", "cache_in", "views_on"}


class Column(NamedTuple):
    """The measure and conditions of a figure; only figures of the same column are averaged or compared.

    Attributes:
        protocol: name of the protocol, such as linear, finetune-10 or detection.
        conditions: data and settings of the protocol, as JSON.
        figure: name of the measure, such as top-1 or AP boxes.
    """

    protocol: str
    conditions: str
    figure: str


def result_files(folder: Path) -> list[Path]:
    """Return all files of a folder that may hold results."""
    return sorted(set(folder.glob("*.json")) - {folder / "settings.json"}) + sorted(folder.glob("*/result.json"))


def read_result(file: Path) -> tuple[dict[Column, float], str | None]:
    """Read the figures of a file and the name of the evaluated encoder; a file that is not a result has no figures.

    Raises:
        UotaError: the file cannot be read, or is a result without figures or with impossible ones.
    """
    try:
        content = read_json(file, FILE_BYTES)
        figures = dict(_figures(content)) if isinstance(content, dict) else {}
        conditions = json.dumps(_conditions_of(content), sort_keys=True) if figures else ""
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, str(error)) from error
    protocol = file.parent.name if file.name == "result.json" else file.stem
    if not figures:
        if file.name == "result.json" or _is_protocol(protocol):
            raise _unusable(file, "it has no accuracy or average precision")
        return {}, None
    wrong = next((name for name, value in figures.items() if not _is_figure(value)), None)
    if wrong:
        raise _unusable(file, f"its {wrong} is {str(figures[wrong])[:40]}, which is not a number from 0 to 100")
    found = {Column(protocol, conditions, name): float(value) for name, value in figures.items() if value is not None}
    encoder = content.get("encoder")
    return found, encoder if isinstance(encoder, str) else None


def _unusable(file: Path, reason: str) -> UotaError:
    return UotaError(f"{printable(file)} cannot be read and is left out: {printable(reason)}; evaluate again")


def _is_protocol(name: str) -> bool:
    return any(name == protocol or name.startswith(f"{protocol}-") for protocol in SETTINGS)


def comparable_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Remove the settings that affect only speed and chance, and resolve the paths of data."""
    kept = {name: value for name, value in settings.items() if name not in OPERATIONAL}
    for name in ("data", "coco"):
        if isinstance(kept.get(name), str):
            kept[name] = canonical_path(kept[name])
    return kept


def canonical_path(path: Path | str) -> str:
    """Resolve the path of a file or folder; a path that cannot be resolved is returned as it is."""
    with suppress(OSError, ValueError, RuntimeError):  # it does not exist, is not a valid name, or links to itself
        return str(Path(path).resolve(strict=True))
    return str(path)


def _conditions_of(content: dict[str, Any]) -> dict[str, Any]:
    settings = content.get("settings")
    return comparable_settings({"data": content.get("data")} | (settings if isinstance(settings, dict) else {}))


def _figures(content: dict[str, Any], part: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        head, _, tail = key.partition("_")
        if isinstance(value, dict) and key != "settings" and depth < MAX_DEPTH:
            yield from _figures(value, tail if head.upper() == "AP" else key, depth + 1)
        elif head.upper() in PRECISIONS:
            yield f"{head.upper()} {tail or part}".strip(), value
        elif key in SHARES and not part:
            yield SHARES[key], value


def _is_figure(value: Any) -> bool:
    """Whether a value is a percentage, or None for one that was not measured."""
    return value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_PERCENT
    )
