"""The HTML page of an inspection: one self-contained file that needs no network."""

from importlib.resources import files
from typing import Any

import numpy as np
from torch import Tensor

from uota.comparison import as_html, compare
from uota.inspection.analysis.causes import FACTORS, Cause
from uota.inspection.analysis.history import MEASURES
from uota.inspection.page.quality import quality_data
from uota.inspection.page.shown import pictured
from uota.inspection.result import Findings
from uota.pages.assemble import assemble
from uota.pages.packing import packed

PARTS = files("uota.inspection.page") / "parts"
# In order of their dependencies.
SCRIPTS = (
    *("numbers", "chart", "state", "strength", "query", "views_csv", "gallery", "single", "list", "detail"),
    *("causes", "plane", "calibration", "history", "quality", "main"),
)
# Total length of the data URIs of the pictures of views, in characters: the page stays below 15 MB.
ROOM = 13_000_000
ARBITERS = {
    "chosen": "Chosen by injection",
    "learned": "Learned",
    "cohort": "Cohort",
    "two_groups": "Two groups",
    "mahalanobis": "The paper's, by temperature",
}


def page(found: Findings) -> str:
    """Return the page as text."""
    title = f"{found.subject.source.name} · uota inspect"
    return assemble(PARTS, SCRIPTS, title, page_data(found), comparison=_comparison(found))


def page_data(found: Findings) -> dict[str, Any]:
    """Return the data of the page; lists of views are ordered image by image, like the rows of `ViewTable.columns`."""
    return {
        **_subject(found),
        **_views(found),
        "own": found.table.primary,
        "judge": found.table.judge,
        "none_found": found.none_found,
        "rate": found.outlier_rate,
        "interval": found.interval,
        "arbiters": _arbiters(found),
        "selection": _selection(found),
        "dim": found.table.embeddings.shape[-1],
        "shown": pictured(found, ROOM),
        "mapped": found.mapped,
        "planes": _planes(found),
        "causes": {"explained": found.causes.explained, "ranking": [_cause(one) for one in found.causes.ranking]},
        "advice": {"sentences": found.advice.sentences, "yaml": found.advice.yaml},
        "calibrations": found.calibrations,
        "histories": found.histories,
        "measures": MEASURES,
        "quality": quality_data(found.quality),
    }


def _subject(found: Findings) -> dict[str, Any]:
    """Return what was inspected."""
    source, preset = found.subject.source, found.table.preset
    views, images = found.table.shape
    return {
        "source": source.name,
        "who": _who(found),
        "space": found.arbiters.space,
        "total": len(source),
        "sampled": len(found.subject.order),
        "grouped": found.subject.groups is not None,
        "views": views,
        "images": images,
        "kinds": preset.size_name_of_view,
        "sizes": [size.size for size in preset.sizes for _ in range(size.count)],
        "preset": preset.name,
        "classes": source.classes,
        "labels": None if source.labels is None else source.labels[found.table.item].tolist(),
    }


def _views(found: Findings) -> dict[str, Any]:
    """Return what is known of each view besides the verdicts: the file it shows, its crop, whether it shows nothing."""
    table = found.table
    shows = table.parameters.image.T.flatten().numpy()
    grouped = found.subject.groups is not None
    files = np.unique(shows if grouped else np.concatenate([shows, table.item.numpy()]))
    return {
        "files": {str(index): table.name_of(int(index), file=True) for index in files},
        "names": [table.name_of(int(item)) for item in table.item] if grouped else None,
        "order": table.item.tolist(),
        "shows": packed(shows),
        "boxes": packed(table.parameters.box.transpose(0, 1).flatten().numpy().astype(np.int64)),
        "image_sizes": packed(table.parameters.image_size.transpose(0, 1).flatten().numpy()),
        "nothing": packed(table.shows_nothing.T.flatten().numpy()),
        "wrong": None if table.wrong is None else packed(table.wrong.T.flatten().numpy()),
    }


def _comparison(found: Findings) -> str:
    """Return the table that compares the runs, if any of them is evaluated."""
    made = compare([run.folder for run in found.runs]) if found.runs else None
    return as_html(made) if made and made.columns else ""


def _who(found: Findings) -> str:
    run = found.subject.run
    return f"the arbiter of run {run.folder.name}" if run else "an arbiter chosen for these images"


def _arbiters(found: Findings) -> dict[str, Any]:
    """Return the verdicts of all arbiters; where no outliers were found, without probabilities."""
    made: dict[str, Any] = {}
    for name, verdict in found.table.verdicts.items():
        probability = None if found.none_found else verdict.outlier_probability
        made[name] = {
            "name": ARBITERS[name],
            "weights": _by_image(verdict.weights),
            "scores": _by_image(verdict.scores),
            "probability": _by_image(probability),
            "distances": _by_image(verdict.distances),
            "tau": verdict.tau,
            "rate": verdict.outlier_rate,
        }
    return made


def _selection(found: Findings) -> dict[str, Any] | None:
    """Return the candidates among which an arbiter was chosen, the best first; None: there was no choice."""
    selection = found.arbiters.selection
    if selection is None or not selection.found:
        return None
    return {"chosen": selection.best.name, "found": [list(pair) for pair in selection.found.items()]}


def _by_image(values: Tensor | None) -> dict[str, str] | None:
    return None if values is None else packed(values.detach().cpu().double().T.flatten().numpy())


def _planes(found: Findings) -> list[dict[str, Any]]:
    return [
        {
            "name": plane.name,
            "axes": plane.axes,
            "views": packed(plane.views.transpose(0, 1).flatten().numpy()),
            "centres": packed(plane.centres.flatten().numpy()),
        }
        for plane in found.planes
    ]


def _cause(cause: Cause) -> dict[str, Any]:
    factor = FACTORS[cause.key]
    return vars(cause) | {"name": factor.name, "unit": factor.unit, "binary": factor.binary}
