"""Moves of files by a list that a person approved, and their undoing."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from uota.console import printable, some_of
from uota.errors import UotaError
from uota.membership.move_lists import Move, MoveList, Row, read_list
from uota.membership.move_paths import MovePaths, UnfitError
from uota.membership.moving import is_moved_in_part, is_reserved


@dataclass
class Plan:
    """What a list asks for, beside what is there. Paths are relative to the folder of groups, with slashes.

    Attributes:
        paths: the folder of groups, and the one beside it for what is set aside.
        undo: file that undoes the moves.
        moves: files to move.
        done: moves that an interrupted run has made.
        kept: number of rows that are not marked wrong.
        in_place: number of files that are where they belong.
        gone: files that are no longer there.
        taken: files that cannot go to their exact path, since there is something.
        emptied: files whose folder is removed if it is empty in the end, with the outermost one to remove.
        leftovers: files that only take a name, for a move that was interrupted.
        folders: folders in which an interrupted run may have left an unfinished copy.
    """

    paths: MovePaths
    undo: Path
    moves: list[Move] = field(default_factory=list)
    done: list[Move] = field(default_factory=list)
    kept: int = 0
    in_place: int = 0
    gone: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    emptied: list[tuple[str, str]] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)


def plan_moves(folder: Path, path: Path, new_groups: bool = False) -> Plan:
    """Work out which files a list moves where, and change nothing.

    Args:
        folder: folder of groups.
        path: list of files, each with the folder of its new group, or an exact path. Beside it is the file that undoes
            its moves. If an interrupted run has written that, the plan is to finish that run.
        new_groups: whether groups may be new folders.

    Raises:
        UotaError: the list cannot be read; or a row names a path outside the folder, a link, a group that does not
            exist, a file that another row has named, or a path that another file is moved to.
    """
    listed = read_list(path)
    undo = path.with_name(f"{path.stem}-undo.csv")
    earlier = _read_undo(undo)
    plan = Plan(MovePaths(folder, (move.source for move in earlier)), undo, kept=listed.kept)
    for move in earlier:
        _recognise(move, plan)
    resumed = {move.source for move in (*plan.done, *plan.moves)}
    made = {move.made for move in earlier} - {""}
    add = _AddExact(plan, resumed) if listed.exact else _AddToGroup(plan, resumed, made, new_groups)
    if not resumed <= _add_rows(listed, path, add):
        raise _other_list(undo)
    return plan


def _read_undo(path: Path) -> list[Move]:
    """Read the moves that an undo file undoes; none if there is no file."""
    if not os.path.lexists(path):
        return []
    listed = read_list(path)
    if not listed.exact:
        raise UotaError(f"{printable(path)} is no list that undoes moves, and would be replaced; rename it")
    return [Move(row.to, row.file, row.made) for row in listed.rows]


def _recognise(move: Move, plan: Plan) -> None:
    """Find out whether an earlier run came to a move. Files that were moved back since are to be moved again."""
    try:
        source, target = (plan.paths.path(plan.paths.inside(name)) for name in (move.source, move.target))
    except UnfitError as error:
        raise _other_list(plan.undo) from error
    _note_folders(move, plan)
    if not os.path.lexists(target):
        return
    if not os.path.lexists(source):
        plan.done.append(move)
    elif is_moved_in_part(source, target):
        plan.moves.append(move)
    elif is_reserved(target):
        plan.leftovers.append(move.target)
        plan.paths.vacate(move.target)
    elif os.lstat(target).st_size:
        raise _other_list(plan.undo)


def _other_list(undo: Path) -> UotaError:
    return UotaError(
        f"{printable(undo)} undoes the moves of another list, and would be replaced; rename it, or the new list, so "
        "that both can be undone"
    )


def _add_rows(listed: MoveList, path: Path, add: Callable[[Row], str]) -> set[str]:
    """Add all rows to a plan, check that each file is named once, and return their names."""
    wrong: list[str] = []
    named: set[str] = set()
    for row in listed.rows:
        try:
            file = add(row)
            if file in named:
                raise UnfitError(f"{printable(file)} is named twice")
            named.add(file)
        except UnfitError as error:
            wrong.append(f"line {row.line}: {error}")
    if wrong:
        rows = some_of(wrong, at_most=3, rest=" such rows")
        raise UotaError(f"{printable(path)}: {rows}; nothing was moved: correct these rows, or remove them")
    return named


@dataclass
class _AddToGroup:
    """Adds rows with groups to a plan.

    Attributes:
        plan: the plan.
        resumed: files that an interrupted run has moved, or begun to move.
        made: folders that it has made.
        new_groups: whether groups may be new folders.
    """

    plan: Plan
    resumed: set[str]
    made: set[str]
    new_groups: bool

    def __call__(self, row: Row) -> str:
        """Add a row, and return its file."""
        plan, paths = self.plan, self.plan.paths
        file = paths.find_file(row.file) or paths.inside(row.file)
        if file in self.resumed:
            return file
        if not os.path.lexists(paths.path(file)):
            plan.gone.append(file)
            return file
        _require_regular(file, paths)
        group = paths.set_aside(file) if paths.is_aside(row.to) else paths.find_group(row.to, self.new_groups)
        if str(PurePosixPath(file).parent) == group:
            plan.in_place += 1
            return file
        target = paths.free_name(group, PurePosixPath(file).name)
        _add(Move(file, target, paths.folder_to_make(target, self.made)), plan)
        return file


@dataclass
class _AddExact:
    """Adds rows with exact paths to a plan.

    Attributes:
        plan: the plan.
        resumed: files that an interrupted run has moved, or begun to move.
    """

    plan: Plan
    resumed: set[str]

    def __call__(self, row: Row) -> str:
        """Add a row, and return its file."""
        plan, paths = self.plan, self.plan.paths
        file, to = paths.inside(row.file), paths.inside(row.to)
        if not paths.claim(to):
            raise UnfitError(f"{printable(to)} is where the file of another row goes")
        plan.emptied.append((file, row.made))
        _note_folders(Move(file, to), plan)
        if file in self.resumed:
            return file
        source, target = paths.path(file), paths.path(to)
        is_there, is_taken = paths.exists(file), paths.exists(to)
        if file == to or (is_taken and not is_there):
            plan.in_place += 1
        elif not is_there:
            plan.gone.append(file)
        elif is_taken and is_reserved(source):
            plan.leftovers.append(file)
            plan.in_place += 1
        elif is_taken and not is_moved_in_part(source, target):
            plan.taken.append(file)
        else:
            _require_regular(file, paths)
            _add(Move(file, to, paths.folder_to_make(to)), plan)
        return file


def _add(move: Move, plan: Plan) -> None:
    plan.moves.append(move)
    _note_folders(move, plan)


def _note_folders(move: Move, plan: Plan) -> None:
    plan.folders |= {str(PurePosixPath(name).parent) for name in (move.source, move.target)}


def _require_regular(file: str, paths: MovePaths) -> None:
    if not stat.S_ISREG(os.lstat(paths.path(file)).st_mode):
        raise UnfitError(f"{printable(file)} is a link, a folder or a device instead of a file")
