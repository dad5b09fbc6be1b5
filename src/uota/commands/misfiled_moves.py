"""`uota misfiled FOLDER --apply`: its options, and what it does."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from uota.commands.parser import CommandParser

if TYPE_CHECKING:
    from uota.membership.moves import Plan

# Rows of a plan, and names in a message, that are printed.
SHOWN = 10


def add_apply_arguments(parser: CommandParser) -> None:
    """Add the options that move files by a list."""
    moving = parser.add_argument_group("moving files")
    moving.add_argument(
        "--apply",
        type=str | None,
        default=None,
        metavar="FILE",
        help="Instead of looking for files: move those of a list that a person approved. It is a CSV with the columns "
        "file (relative to FOLDER) and to (folder of the group; nothing or -: FOLDER-set-aside, beside FOLDER). If it "
        "has a column mark, only rows marked wrong are moved. Nothing is overwritten: where a name is taken, the file "
        "becomes NAME (2). Moves are undone by applying the file that is written beside the list, "
        "which is moves-undo.csv for moves.csv. "
        "Without --yes, only says what would be moved.",
    )
    moving.add_argument("--yes", action="store_true", help="With --apply: move the files.")
    moving.add_argument(
        "--new_groups", action="store_true", help="With --apply: make folders for groups that do not exist."
    )


def apply_from(folder: Path, path: Path, yes: bool = False, new_groups: bool = False) -> None:
    """Say which files a list moves, and move them if that is wanted.

    Args:
        folder: folder of groups.
        path: the list.
        yes: whether to move the files.
        new_groups: whether groups may be new folders.

    Raises:
        UotaError: the list is wrong, or not all of its files were moved.
    """
    from uota.console import printable, some_of
    from uota.errors import UotaError
    from uota.membership.move_apply import carry_out
    from uota.membership.moves import plan_moves

    plan = plan_moves(folder, path, new_groups)
    for line in describe(plan):
        print(line)
    if not yes:
        print("nothing was changed; to move them: --yes" if plan.moves else "there is nothing to move")
        return
    left = carry_out(plan)
    if plan.moves:
        print(f"{len(plan.moves) - len(left)} files moved; to undo: --apply {printable(plan.undo)} --yes")
    if missing := [*plan.gone, *plan.taken, *left]:
        names = some_of([printable(name) for name in missing], SHOWN)
        raise UotaError(f"{len(missing)} files were not moved, since they are gone or their name is taken: {names}")


def describe(plan: "Plan") -> Iterator[str]:
    """Say what a plan does, in counts and its first moves."""
    from uota.console import printable

    aside = sum(move.target.startswith("..") for move in plan.moves)
    where = f"{len(plan.moves) - aside} to other groups, {aside} into {printable(plan.paths.aside)}"
    yield f"files to move: {len(plan.moves)}" + (f" ({where})" if plan.moves else "")
    for move in plan.moves[:SHOWN]:
        yield f"  {printable(move.source)} -> {printable(move.target)}"
    if len(plan.moves) > SHOWN:
        yield f"  and {len(plan.moves) - SHOWN} more"
    others = {
        "moved before": len(plan.done),
        "in place": plan.in_place,
        "not marked wrong": plan.kept,
        "gone": len(plan.gone),
        "whose name is taken": len(plan.taken),
    }
    if said := [f"{count} {what}" for what, count in others.items() if count]:
        yield f"others: {', '.join(said)}"
