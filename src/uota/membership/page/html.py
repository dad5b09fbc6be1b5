"""The page of the verdicts: one self-contained file that needs no network."""

import shlex
from hashlib import sha256
from importlib.resources import files
from typing import Any

from uota.membership.origin import Origin
from uota.membership.page.groups import describe_groups
from uota.membership.page.listed import Listed, list_members
from uota.membership.page.pictured import Album
from uota.membership.verdicts import LIKELY, TOO_MANY, Verdicts
from uota.pages.assemble import assemble

PARTS = files("uota.membership.page") / "parts"
# In order of their dependencies.
SCRIPTS = ("state", "marks", "query", "entry", "list", "groups", "main")
# Total length of the data URIs of all pictures, in characters, and the share of it that is for groups: the page stays
# below 15 MB.
ROOM, OF_GROUPS = 10_000_000, 0.2


def page(found: Verdicts, origin: Origin) -> str:
    """Return the page as text.

    Args:
        found: the verdicts.
        origin: where the members come from, with their pictures.
    """
    title = f"{origin.name or 'members'} · uota misfiled"
    return assemble(PARTS, SCRIPTS, title, page_data(found, origin))


def page_data(found: Verdicts, origin: Origin) -> dict[str, Any]:
    """Return the data of the page, in which members and groups are known by their numbers."""
    listed = list_members(found)
    described = describe_groups(found)
    album = Album(origin)
    album.fill(described.wanted, int(OF_GROUPS * ROOM))
    album.fill(listed.wanted, ROOM)
    members = {*listed.members, *described.members}
    groups = {*listed.groups, *described.groups}
    return {
        **_summary(found, origin),
        "key": _key(found),
        "command": None if origin.folder is None else f"uota misfiled {shlex.quote(found.as_text(str(origin.folder)))}",
        "rows": _rows(found, listed),
        "nearest": {member: _nearest(found, member) for member in listed.rows},
        "typical": listed.typical,
        "ids": {member: found.as_text(found.ids[member]) for member in members},
        "names": {group: found.as_text(found.names[group]) for group in groups},
        "has_pictures": origin.pictures is not None,
        "pictures": {member: uri for member, uri in album.uris.items() if member in members},
        "groups": described.rows,
        "splits": described.splits,
        "merges": described.merges,
    }


def _summary(found: Verdicts, origin: Origin) -> dict[str, Any]:
    """Return what the page says of all members."""
    members, choice = found.members, found.members.choice
    likely = members.probability > LIKELY
    return {
        "source": origin.name,
        "id_name": found.id_name,
        "members": len(found.ids),
        "groups_total": len(found.names),
        "share": members.share,
        "foreign": choice.foreign.told,
        "is_doubtful": members.share > TOO_MANY,
        "interval": list(members.interval),
        "likely": int(likely.sum()),
        "likely_fdr": float((1 - members.probability[likely].double()).mean()) if bool(likely.any()) else None,
        "score": choice.best.name,
        "found": [list(pair) for pair in choice.found.items()],
    }


def _rows(found: Verdicts, listed: Listed) -> list[list[Any]]:
    """Return the list: member, group, probability, false-discovery rate, other group, and its probability."""
    members = found.members
    columns = (members.group, members.probability, members.fdr, members.fits, members.fits_probability)
    chosen = [column[listed.rows].tolist() for column in columns]
    return [list(row) for row in zip(listed.rows, *chosen, strict=True)]


def _nearest(found: Verdicts, member: int) -> list[int]:
    return [int(found.members.nearest_own[member]), int(found.members.nearest_other[member])]


def _key(found: Verdicts) -> str:
    """Return a name under which a browser keeps the marks: the same for the same members in the same groups."""
    digest = sha256()
    for member, group in zip(found.ids, found.members.group.tolist(), strict=True):
        digest.update(f"{member}\0{found.names[group]}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]
