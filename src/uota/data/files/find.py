"""Finds the images in a folder."""

import os
import stat
from collections import deque
from pathlib import Path
from typing import NamedTuple

from uota.data.files.formats import (
    ACCOMPANYING,
    EXTENSIONS,
    FORMAT_OF_EXTENSION,
    HEAD,
    OTHER_EXTENSIONS,
    REMEDIES,
    format_of_content,
    kind_of_picture,
    readable_formats,
)
from uota.data.files.left_out import LeftOut
from uota.errors import UotaError
from uota.io.reading import open_regular

# Files and folders of other programs that are ignored without a message.
IGNORED = {
    "__MACOSX",
    "@eaDir",
    ".DS_Store",
    ".git",
    ".svn",
    ".cache",
    ".ipynb_checkpoints",
    ".thumbnails",
    ".uota.lock",
}
IGNORED_PREFIXES = ("._", ".Trash", ".fuse_hidden", ".nfs", ".~")


class FoundFiles(NamedTuple):
    """Contents of a folder, at any depth.

    Attributes:
        files: paths of image files relative to the folder, sorted.
        closed: folders without permission, and broken links.
        left_out: everything else, by kind.
    """

    files: list[str]
    closed: list[str]
    left_out: LeftOut


def find_images(root: Path) -> FoundFiles:
    """Image files under `root`, recognised by extension, or by content if the extension is unknown.

    Links to folders are followed, and each real folder is entered once. Files of other programs (`IGNORED`) are
    skipped; hidden images and folders, and files that are not readable images, are counted by kind.

    Raises:
        UotaError: there is no permission to enter `root` itself.
    """
    found = FoundFiles([], [], LeftOut())
    entered: set[tuple[int, int]] = set()
    waiting = deque([""])
    while waiting:
        folder = waiting.popleft()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in entered:
                found.left_out.add("link(s) lead to folders that are read already", folder)
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise UotaError(f"{root} cannot be entered: {error.strerror}; ask its owner") from error
            found.closed.append(folder)
            continue
        for entry in entries:
            _sort_in(entry, f"{folder}/{entry.name}" if folder else entry.name, found, waiting)
    found.files.sort()
    return found


def _sort_in(entry: "os.DirEntry[str]", relative: str, found: FoundFiles, waiting: deque[str]) -> None:
    if entry.name in IGNORED or entry.name.startswith(IGNORED_PREFIXES):
        return
    if entry.name.startswith("."):
        _note_hidden(entry, relative, found)
        return
    if entry.is_dir(follow_symlinks=False):
        waiting.appendleft(relative)
        return
    try:
        mode = entry.stat().st_mode if not entry.is_file(follow_symlinks=False) else stat.S_IFREG
    except OSError:  # a link to itself, or to nothing
        found.closed.append(relative)
        return
    if stat.S_ISDIR(mode):
        waiting.append(relative)  # links last, so that an image is known by its real path if there is one
    elif not stat.S_ISREG(mode):
        found.left_out.add("pipe(s), socket(s) or device(s) are not regular files", relative)
    elif why := _why_not_image(entry):
        found.left_out.add(why, relative)
    else:
        found.files.append(relative)


def _note_hidden(entry: "os.DirEntry[str]", relative: str, found: FoundFiles) -> None:
    if entry.is_dir(follow_symlinks=False):
        found.left_out.add("hidden folder(s) are not entered", relative)
    elif entry.name.lower().endswith(EXTENSIONS):
        found.left_out.add("hidden image(s) are not used", relative)


def _why_not_image(entry: "os.DirEntry[str]") -> str | None:
    """Why a file does not count as an image; None if it does."""
    extension = os.path.splitext(entry.name)[1].lower()
    if extension == ".tar":
        return ".tar file(s) among other files are not read: give them as --data"
    if extension in ACCOMPANYING:
        return f"{extension} file(s) are not images"
    name = FORMAT_OF_EXTENSION.get(extension)
    if name in readable_formats():
        return None
    if kind := OTHER_EXTENSIONS.get(extension):
        return _not_read(kind)
    head = _head(entry.path)
    of_content = format_of_content(head)
    if of_content in readable_formats():
        return None
    if remedy := REMEDIES.get(of_content or name or ""):
        return f"{of_content or name} image(s) are not read: {remedy}"
    if kind := kind_of_picture(head):
        return _not_read(kind)
    return (
        f"{extension} file(s) are not readable images" if extension else "file(s) without an extension are not images"
    )


def _not_read(kind: str) -> str:
    return f"{kind} file(s) are not read: convert them to PNG"


def _head(path: str) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""
