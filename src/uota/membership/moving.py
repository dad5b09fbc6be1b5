"""A file's move to a name that nothing has yet: nothing is lost or overwritten, whenever it is stopped."""

import errno
import filecmp
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

# Name of a copy that is being made, in the folder that the file goes to.
UNFINISHED = ".uota-unfinished"
# Content of a file that takes a name until the file that is being moved gets it.
RESERVED = b"uota: a file is being moved to this name\n"
# What file systems without hard links answer, and Linux if a file of somebody else would be linked.
NO_LINKS = {errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def move_file(source: Path, target: Path) -> None:
    """Move a regular file; between file systems, copy it and delete the original once the copy is known to be good.

    If this is interrupted, the file is at `source`, at `target` or at both, where `is_moved_in_part` recognises it. On
    a file system without hard links, a small file may be left at `target`, which `is_reserved` recognises unless it is
    empty.

    Raises:
        FileExistsError: there is something at `target`.
        OSError: the file cannot be moved.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in NO_LINKS:
            _rename(source, target)
            return
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
    os.unlink(source)


def is_moved_in_part(source: Path, target: Path) -> bool:
    """Whether a move was interrupted when the file had both names, or when its copy on another file system was good."""
    one, other = os.lstat(source), os.lstat(target)
    if os.path.samestat(one, other):
        return one.st_nlink > 1  # else the two are one name, in a file system that ignores case
    are_files = stat.S_ISREG(one.st_mode) and stat.S_ISREG(other.st_mode)
    return are_files and _are_apart(one, other) and filecmp.cmp(source, target, shallow=False)


def is_reserved(path: Path) -> bool:
    """Whether a file only takes a name, for a move that was interrupted."""
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_size == len(RESERVED) and path.read_bytes() == RESERVED


def remove_unfinished(folder: Path) -> None:
    """Remove the unfinished copy that a killed process left in a folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(folder / UNFINISHED)


def _are_apart(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two files are on different file systems."""
    return one.st_dev != other.st_dev


def _rename(source: Path, target: Path) -> None:
    """Rename a file to a name that is first taken by a small file, which fails if there is something of that name."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, RESERVED)
        os.close(descriptor)
        os.replace(source, target)
    except BaseException:
        if os.path.lexists(source):
            os.unlink(target)
        raise


def _copy(source: Path, target: Path) -> None:
    """Copy a file, with its times and permissions, under another name; give it its name when it is on the disk."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    remove_unfinished(target.parent)
    unfinished = target.parent / UNFINISHED
    try:
        with source.open("rb") as original, unfinished.open("xb") as copy:
            shutil.copyfileobj(original, copy)
            copy.flush()
            shutil.copystat(source, unfinished)
            os.fsync(copy.fileno())
        if not filecmp.cmp(source, unfinished, shallow=False):
            raise OSError(errno.EIO, "the copy differs from the original", str(target))
        move_file(unfinished, target)
        _sync_folder(target.parent)
    finally:
        remove_unfinished(target.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
