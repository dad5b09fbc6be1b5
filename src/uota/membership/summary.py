"""What a person reads on the terminal of the verdicts on members and groups."""

from uota.console import printable
from uota.membership.result import Misfiled
from uota.membership.verdicts import LIKELY, TOO_MANY

# Members of the list that are printed.
FIRST = 10
# Width in per cent of an interval of the share that says nearly nothing.
WIDE = 50


def summarise(found: Misfiled, first: int = FIRST) -> list[str]:
    """Return sentences on the share, the score and the groups, and lines with the first members, worst first."""
    members = found.members
    low, high = (100 * end for end in members.interval)
    doubt = _doubt(members.share, high - low)
    best, foreign = members.choice.best.name, members.choice.foreign.told
    none = f"; of these, about {100 * foreign:.0f} % belong to none of the groups" if foreign else ""
    return [
        f"{len(found.ids)} members of {len(found.names)} groups; estimated share that does not belong: "
        f"{100 * members.share:.1f} % (95 % interval {low:.1f} to {high:.1f} %){none}{doubt}",
        f"score, chosen on members exchanged on purpose: {best} "
        f"(average precision {members.choice.found[best]:.2f} in finding them)",
        *_of_groups(found),
        *_first(found, first),
    ]


def _doubt(share: float, width: float) -> str:
    """Return why the share, with an interval of this width in per cent, says little; empty if it does not."""
    if share > TOO_MANY:
        return ", so many that the embeddings probably cannot tell: choose others"
    return ", as members are too few to tell" if width > WIDE else ""


def _of_groups(found: Misfiled) -> list[str]:
    split, merge = (int((each > LIKELY).sum()) for each in (found.groups.split, found.groups.merge))
    counted = [f"{split} look like two things"] * (split > 0) + [f"{merge} like another group"] * (merge > 0)
    return [f"groups: {', '.join(counted)}"] if counted else []


def _first(found: Misfiled, first: int) -> list[str]:
    columns = {name: column[:first] for name, column in found.columns().items()}
    names = ("probability", found.id_name, "group", "fits_better", "fits_probability")
    rows = zip(*(columns[name] for name in names), strict=True)
    heading = f"the first {min(first, len(found.ids))}, worst first, by the probability not to belong:"
    return [
        heading,
        *(
            f"  {100 * p:5.1f} %  {printable(own)}  in {group}, {'fits' if chance >= LIKELY else 'most like'} {other}"
            for p, own, group, other, chance in rows
        ),
    ]
