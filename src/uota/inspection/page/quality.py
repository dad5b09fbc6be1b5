"""The flaws of pictures as data of the page."""

from typing import Any

from uota.console import printable
from uota.inspection.analysis.quality import PROBLEMS, Flaw, Quality
from uota.pages.pictures import data_uris, fitted

SIDE = 96
# Flaws listed and pictures shown, of each problem, and the total length of their data URIs in characters.
LISTED, PICTURED = 2000, 120
ROOM = 1_500_000


def quality_data(quality: Quality) -> dict[str, Any]:
    """Return the flaws by problem as rows of file, value, group and picture."""
    flaws = {problem: quality.of(problem) for problem in PROBLEMS}
    wanted = sorted({flaw.index for listed in flaws.values() for flaw in listed[:PICTURED]})
    uris = data_uris([fitted(quality.source.images([index])[0], SIDE) for index in wanted], ROOM)
    place = {index: number for number, index in enumerate(wanted)}
    return {
        "checked": quality.checked,
        "unreadable": [printable(path) for path in quality.unreadable[:LISTED]],
        "problems": [
            {
                "key": problem,
                **PROBLEMS[problem]._asdict(),
                "pictures": len(listed),
                "groups": len({flaw.group for flaw in listed}),
                "rows": [_row(quality, flaw, place.get(flaw.index)) for flaw in listed[:LISTED]],
            }
            for problem, listed in flaws.items()
        ],
        "images": uris,
    }


def _row(quality: Quality, flaw: Flaw, picture: int | None) -> list[Any]:
    return [printable(quality.source.display_name(flaw.index)), flaw.value, flaw.group, picture]
