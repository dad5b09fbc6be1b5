"""Paths that a list of moves may name: in the folder of groups, and in the one beside it for what is set aside."""

import os
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path, PurePosixPath

from uota.console import printable
from uota.errors import UotaError
from uota.membership.path_cells import parse_cell

# What stands for "set it aside"; a dash also as spreadsheets are given it.
DASHES = ("-", "'-")
ASIDE_ENDING = "-set-aside"


class UnfitError(Exception):
    """A row names a path that it may not name; the message says which, and why."""


class MovePaths:
    """Finds what the cells of a list stand for. Paths are relative to the folder of groups, with slashes.

    Args:
        folder: folder of groups.
        earlier: files that were there, and were moved by an interrupted run.

    Raises:
        UotaError: there is no such folder, or there can be no folder beside it.
    """

    def __init__(self, folder: Path, earlier: Iterable[str] = ()) -> None:
        self.root = Path(os.path.realpath(folder))
        if not self.root.is_dir():
            raise UotaError(f"there is no folder {printable(folder)}; give the folder that the list's files are in")
        if not self.root.name:
            raise UotaError("files of the root folder cannot be set aside beside it; give a folder in it")
        self.aside = self.root.with_name(f"{self.root.name}{ASIDE_ENDING}")
        if self.aside.is_symlink():
            raise UotaError(f"{printable(self.aside)} is a link; remove or rename it")
        self._earlier = frozenset(earlier)
        self._claimed: set[str] = set()
        self._vacated: set[str] = set()
        self._real = cache(os.path.realpath)

    def path(self, relative: str) -> Path:
        """Return the path in the file system."""
        return Path(os.path.normpath(self.root / relative))

    def vacate(self, path: str) -> None:
        """Note that what is at a path will be removed before files are moved."""
        self._vacated.add(path)

    def exists(self, path: str) -> bool:
        """Whether there will be something at a path when files are moved."""
        return path not in self._vacated and os.path.lexists(self.path(path))

    def find_file(self, cell: str) -> str | None:
        """Return the file that a cell stands for, or None if it is gone.

        Raises:
            UnfitError: it may not be moved.
        """
        return next(iter(self._find(cell)), None)

    def find_group(self, cell: str, may_be_new: bool) -> str:
        """Return the folder of a group.

        Raises:
            UnfitError: there is none.
        """
        found = next((name for name in self._find(cell) if self.path(name).is_dir()), None)
        if found:
            return str(PurePosixPath(self.inside(f"{found}/file")).parent)  # the folder itself may be a link
        name = self.inside(parse_cell(cell))
        if os.path.lexists(self.path(name)):
            raise UnfitError(f"{printable(name)} is no folder")
        if not may_be_new:
            raise UnfitError(f"there is no group {printable(name)} (--new-groups would make it)")
        return name

    def is_aside(self, cell: str) -> bool:
        """Whether a cell says that a file is set aside, instead of naming a group.

        Raises:
            UnfitError: it may mean either.
        """
        if cell in DASHES and self.path("-").is_dir():
            raise UnfitError("- is a group and stands for setting aside (write ./- or nothing)")
        return not cell or cell in DASHES

    def set_aside(self, file: str) -> str:
        """Return the folder into which a file is set aside: as it is now, within the folder beside that of groups."""
        group = PurePosixPath(file).parent
        return str(group if ".." in group.parts else PurePosixPath("..", self.aside.name, group))

    def inside(self, text: str) -> str:
        """Return a path in one form, without links.

        Raises:
            UnfitError: it is not within the folder of groups or that of what is set aside.
        """
        path = PurePosixPath(text)
        within = path.parts[2:] if path.parts[:2] == ("..", self.aside.name) else path.parts
        if not within or path.is_absolute() or ".." in within or not _is_name(text):
            raise UnfitError(f"'{printable(text)}' is no path within {printable(self.root.name)}")
        whole = Path(self._real(self.root / path.parent), path.name)
        if not any(whole != root and whole.is_relative_to(root) for root in (self.root, self.aside)):
            raise UnfitError(f"'{printable(text)}' leads out of {printable(self.root.name)} through a link")
        return str(PurePosixPath(os.path.relpath(whole, self.root)))

    def free_name(self, group: str, name: str) -> str:
        """Return a path in a group that nothing has, and that is not given again: with (2), (3), ... where needed."""
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        for number in count(1):
            path = str(PurePosixPath(group, name if number == 1 else f"{stem} ({number}){suffix}"))
            if self.claim(path) and not self.exists(path):
                return path
        raise AssertionError("there are infinitely many numbers")

    def claim(self, path: str) -> bool:
        """Note that a file goes to a path; False if another one does, on some file systems by other letters."""
        key = unicodedata.normalize("NFC", path).casefold()
        if key in self._claimed:
            return False
        self._claimed.add(key)
        return True

    def folder_to_make(self, path: str, made: Iterable[str] = ()) -> str:
        """Return the outermost folder of a path that does not exist, or that an interrupted run has made; or ''."""
        outermost_first = map(str, reversed(PurePosixPath(path).parents))
        return next((name for name in outermost_first if name in made or not os.path.lexists(self.path(name))), "")

    def _find(self, cell: str) -> list[str]:
        """Return what a cell stands for that exists: what tables write so, then what has that very name."""
        names = dict.fromkeys(self.inside(text) for text in dict.fromkeys([parse_cell(cell), cell]))
        return [name for name in names if name in self._earlier or os.path.lexists(self.path(name))]


def _is_name(text: str) -> bool:
    """Whether a file can have that name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
