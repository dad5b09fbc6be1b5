"""Making the moves of a plan, so that an interrupted run can be finished or undone."""

import logging
import os
from contextlib import suppress
from pathlib import PurePosixPath

from uota.console import printable
from uota.errors import UotaError
from uota.membership.move_lists import Move, write_undo
from uota.membership.move_paths import MovePaths
from uota.membership.moves import Plan
from uota.membership.moving import is_moved_in_part, move_file, remove_unfinished

logger = logging.getLogger(__name__)


def carry_out(plan: Plan) -> list[str]:
    """Make the moves of a plan, after writing the file that undoes them.

    Returns:
        Files that were left where they are, since they have gone, or their new name was taken, after the plan was made.

    Raises:
        UotaError: a file cannot be moved, such as to a full disk. Moves until then can be undone, and carrying out the
            plan that is made again finishes them.
    """
    if plan.moves:
        write_undo(plan.undo, [*plan.done, *plan.moves])
    for name in plan.leftovers:
        plan.paths.path(name).unlink(missing_ok=True)
    for name in plan.folders:
        remove_unfinished(plan.paths.path(name))
    left = _make_all(plan)
    for file, made in plan.emptied:
        _remove_empty(file, made, plan.paths)
    return left


def _make_all(plan: Plan) -> list[str]:
    left: list[str] = []
    for number, move in enumerate(plan.moves):
        stopped = f"stopped after {number} of {len(plan.moves)} files"
        how = f"the same command finishes the rest, and --apply {printable(plan.undo)} undoes it"
        try:
            _make(move, plan.paths)
        except (FileExistsError, FileNotFoundError):
            left.append(move.source)
        except OSError as error:
            why = f"{printable(move.source)} cannot be moved: {error.strerror}"
            raise UotaError(f"{stopped}, and none is lost: {why}; once that is mended, {how}") from error
        except BaseException:
            logger.warning("%s, and none is lost; %s", stopped, how)
            raise
    return left


def _make(move: Move, paths: MovePaths) -> None:
    source, target = paths.path(move.source), paths.path(move.target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target) and is_moved_in_part(source, target):
        os.unlink(source)
    else:
        move_file(source, target)


def _remove_empty(file: str, made: str, paths: MovePaths) -> None:
    """Remove the folder of a file that was moved away, and those around it up to one that was made for it, if empty."""
    outermost = PurePosixPath(made)
    for folder in PurePosixPath(file).parents:
        if not made or not folder.is_relative_to(outermost):
            return
        with suppress(OSError):
            paths.path(str(folder)).rmdir()
