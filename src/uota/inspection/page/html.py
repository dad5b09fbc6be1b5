"""The HTML page of an inspection: one self-contained file that needs no network."""

import json
from collections.abc import Sequence
from importlib.resources import files
from math import isfinite
from typing import Any

import numpy as np
from numpy import ndarray

from uota.comparison import as_html, compare
from uota.console import printable
from uota.inspection.analysis.causes import FACTORS, Cause
from uota.inspection.analysis.filing import Filing
from uota.inspection.analysis.history import MEASURES
from uota.inspection.page.pictures import data_uris, fitted
from uota.inspection.page.quality import quality_data
from uota.inspection.result import Findings

PARTS = files("uota.inspection.page") / "parts"
# In order of their dependencies.
SCRIPTS = (
    *("numbers", "dom", "chart", "state", "strength", "gallery", "detail"),
    *("causes", "plane", "calibration", "history", "filing", "quality", "main"),
)
# Longest sides of pictures in pixels, and the total length of their data URIs in characters: 200 images with their
# views make a page of less than 15 MB.
IMAGE_SIDE, VIEW_SIDE, SMALL_SIDE = 176, 96, 112
ROOM = 13_000_000
LISTED, LISTED_FROM, LISTED_IN_CSV = 200, 0.5, 20_000
ARBITERS = {
    "learned": "Learned",
    "two_groups": "Two groups",
    "mahalanobis": "The paper's, by temperature",
}


def page(found: Findings) -> str:
    """Return the page as text."""
    data = json.dumps(_plain(page_data(found)), ensure_ascii=False, separators=(",", ":"))
    parts = {
        "title": _escaped(f"{found.subject.source.name} · uota inspect"),
        "style": (PARTS / "style.css").read_text(encoding="utf-8"),
        "data": data.replace("<", "\\u003c"),
        "comparison": _comparison(found),
        "script": "\n".join((PARTS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
    }
    text = (PARTS / "page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part, 1)
    return text


def page_data(found: Findings) -> dict[str, Any]:
    """Return the data of the page; lists of views are ordered image by image, like the rows of `ViewTable.columns`."""
    table = found.table
    views, images = table.shape
    return {
        "source": found.subject.source.name,
        "who": _who(found),
        "space": found.arbiters.space,
        "total": found.subject.total,
        "sampled": len(found.subject.source),
        "grouped": found.subject.groups is not None,
        "halved": found.subject.halves is not None,
        "views": views,
        "images": images,
        "kinds": table.preset.size_name_of_view,
        "sizes": [size.size for size in table.preset.sizes for _ in range(size.count)],
        "preset": table.preset.name,
        "classes": found.subject.source.classes,
        "labels": None if found.subject.source.labels is None else found.subject.source.labels[table.item].tolist(),
        "own": table.primary,
        "arbiters": _arbiters(found),
        "dim": table.embeddings.shape[-1],
        "wrong": None if table.wrong is None else table.wrong.T.flatten().int().tolist(),
        "shown": _shown(found),
        "planes": _planes(found),
        "causes": {"explained": found.causes.explained, "ranking": [_cause(one) for one in found.causes.ranking]},
        "advice": {"sentences": found.advice.sentences, "yaml": found.advice.yaml},
        "calibrations": found.calibrations,
        "histories": found.histories,
        "measures": MEASURES,
        "filing": None if found.filing is None else _filing(found.filing),
        "quality": quality_data(found.quality),
    }


def _comparison(found: Findings) -> str:
    """Return the table that compares the runs, if any of them is evaluated."""
    made = compare([run.folder for run in found.runs]) if found.runs else None
    return as_html(made) if made and made.columns else ""


def _who(found: Findings) -> str:
    run = found.subject.run
    return f"the arbiter of run {run.folder.name}" if run else "an arbiter trained on these images"


def _arbiters(found: Findings) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, verdict in found.table.verdicts.items():
        probability, distances = verdict.outlier_probability, verdict.distances
        made[name] = {
            "name": ARBITERS[name],
            "weights": verdict.weights.double().T.flatten().numpy(),
            "probability": None if probability is None else probability.double().T.flatten().numpy(),
            "distances": None if distances is None else distances.T.flatten().numpy(),
            "tau": verdict.tau,
            "rate": verdict.outlier_rate,
        }
    return made


def _shown(found: Findings) -> dict[str, Any]:
    """Return pictures of the first images and their views, with the views' augmentations."""
    table = found.table
    shown = table.pictures[0].shape[1]
    representatives = found.representatives(shown)
    seen = table.parameters.image[:, :shown].T
    wanted = sorted({*representatives, *seen.flatten().tolist()})
    # Views of groups are of different images, so there are many to show.
    side = SMALL_SIDE if len(wanted) > 2 * shown else IMAGE_SIDE
    originals = [fitted(found.subject.source.images([index])[0], side) for index in wanted]
    by_image = [
        fitted(view, VIEW_SIDE) for place in range(shown) for pixels in table.pictures for view in pixels[:, place]
    ]
    uris = data_uris(originals + by_image, ROOM)
    columns = table.columns()
    rows = shown * table.shape[0]
    made = {name: columns[name][:rows] for name in columns if not name.startswith(("score", "weight", "outlier"))}
    return {
        "images": shown,
        "names": [table.name_of(int(item)) for item in table.item[:shown]],
        "faces": representatives,
        "pictures": uris[len(wanted) :],
        "originals": dict(zip(map(str, wanted), uris, strict=False)),
        "of": seen.flatten().tolist(),
        "made": made,
    }


def _planes(found: Findings) -> list[dict[str, Any]]:
    shown = found.table.pictures[0].shape[1]
    return [
        {
            "name": plane.name,
            "views": plane.views[:, :shown].transpose(0, 1).flatten(0, 1).numpy().round(4),
            "centres": plane.centres[:shown].numpy().round(4),
        }
        for plane in found.planes
    ]


def _cause(cause: Cause) -> dict[str, Any]:
    factor = FACTORS[cause.key]
    return vars(cause) | {"name": factor.name, "unit": factor.unit, "binary": factor.binary}


def _filing(filing: Filing) -> dict[str, Any]:
    """Return the files by descending outlier probability, and pictures of those that look misfiled."""
    order = [index for index in filing.verdicts.worst_first().tolist() if filing.group[index] >= 0]
    groups, files = filing.groups, filing.groups.files
    listed = order[:LISTED_IN_CSV]
    pictured = [index for index in listed[:LISTED] if filing.verdicts.probability[index] >= LISTED_FROM]
    better = {int(filing.fits[index]): _best_of(filing, int(filing.fits[index])) for index in pictured}
    wanted = sorted({*pictured, *better.values()})
    uris = data_uris([fitted(files.images([index])[0], VIEW_SIDE) for index in wanted], ROOM // 5)
    return {
        "share": filing.share,
        "files": len(order),
        "groups": len(groups),
        "rows": [
            [
                printable(files.display_name(index)),
                printable(groups.display_name(int(filing.group[index]))),
                round(float(filing.verdicts.probability[index]), 4),
                printable(groups.display_name(int(filing.fits[index]))),
            ]
            for index in listed
        ],
        "pictured": pictured,
        "better": [better[int(filing.fits[index])] for index in pictured],
        "pictures": dict(zip(map(str, wanted), uris, strict=True)),
    }


def _best_of(filing: Filing, group: int) -> int:
    """Return the file of a group with the lowest outlier probability."""
    readable = [index for index in filing.groups.members[group] if filing.group[index] >= 0]
    return min(readable or filing.groups.members[group], key=lambda index: float(filing.verdicts.probability[index]))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _plain(value: Any) -> Any:
    """Convert a value to JSON types: arrays to lists, numbers to ten digits, and non-finite ones to None."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, ndarray):
        return _plain(value.tolist())
    if isinstance(value, str):
        return "\n".join(printable(line) for line in value.split("\n"))
    if value is None:
        return None
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.10g}") if isfinite(value) else None
    return _plain(vars(value)) if hasattr(value, "__dataclass_fields__") else value
