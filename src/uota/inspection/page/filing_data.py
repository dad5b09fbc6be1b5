"""The data of the page's section on misfiled files."""

from typing import Any

from uota.console import printable
from uota.inspection.analysis.filing import Filing
from uota.inspection.page.pictures import VIEW_SIDE, data_uris, fitted

LISTED, LISTED_FROM, LISTED_IN_CSV = 200, 0.5, 20_000


def filing_data(filing: Filing, room: int) -> dict[str, Any]:
    """Return the files by descending outlier probability, and pictures of those that look misfiled.

    Args:
        filing: the verdicts.
        room: total length of the pictures in characters.
    """
    order = [index for index in filing.verdicts.worst_first().tolist() if filing.group[index] >= 0]
    groups, files = filing.groups, filing.groups.files
    listed = order[:LISTED_IN_CSV]
    pictured = [index for index in listed[:LISTED] if filing.verdicts.probability[index] >= LISTED_FROM]
    better = {int(filing.fits[index]): _best_of(filing, int(filing.fits[index])) for index in pictured}
    wanted = sorted({*pictured, *better.values()})
    uris = data_uris([fitted(files.images([index])[0], VIEW_SIDE) for index in wanted], room)
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
