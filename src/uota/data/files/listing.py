"""Which files of a folder are images, what they are labelled and which split they belong to."""

import os
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uota.data.files.decode import read_file
from uota.data.files.formats import (
    BESIDE,
    ENDINGS,
    EXTENSIONS,
    HEAD,
    OTHER_ENDINGS,
    REMEDIES,
    format_of_content,
    kind_of_picture,
    readable_formats,
)
from uota.data.files.left_out import LeftOut
from uota.data.files.splits import UNLABELLED, in_share, split_of, test_names_first
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.reading import open_regular

# What other programs leave in folders, which nobody misses.
LEAVINGS = {
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
LEAVINGS_BEGIN = ("._", ".Trash", ".fuse_hidden", ".nfs", ".~")


class LoadedEncoder(NamedTuple):
    """What is under a folder.

    Attributes:
        files: image files, sorted and relative to the folder.
        closed: folders that may not be entered, and links that lead nowhere.
        left_out: everything else, by kind.
    """

    files: list[str]
    closed: list[str]
    left_out: LeftOut


@dataclass(frozen=True)
class Listing:
    """Images of one split of a folder.

    Attributes:
        root: what the files are relative to; the first part of a relative path is the class.
        files: relative to `root`, sorted, with / between the parts.
        classes: of both splits, sorted; None: the images are not labelled.
        left_out: images that belong to no split, or have no label.
    """

    root: Path
    files: list[str]
    classes: list[str] | None
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    def path(self, index: int) -> Path:
        """Where a file lies."""
        return self.root / self.files[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a file."""
        return read_file(self.path(index))

    def labels(self) -> list[int] | None:
        """Place of each file's class in `classes`; -1 of a file that lies in no folder of a class."""
        if self.classes is None:
            return None
        place = {name: number for number, name in enumerate(self.classes)}
        return [place[class_of(file)] if "/" in file else UNLABELLED for file in self.files]


def find_images(root: Path) -> LoadedEncoder:
    """Image files under `root`: by their endings, and of files whose ending says nothing by their content.

    Follows links to folders, each real folder once. Leaves out what other programs leave behind (`LEAVINGS`); counts
    hidden images and folders, and what is no image that can be read here, by kind.

    Raises:
        UotaError: `root` itself may not be entered.
    """
    found = LoadedEncoder([], [], LeftOut())
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
                raise UotaError(f"{root} may not be entered: {error.strerror}; ask its owner") from error
            found.closed.append(folder)
            continue
        for entry in entries:
            _sort_in(entry, f"{folder}/{entry.name}" if folder else entry.name, found, waiting)
    found.files.sort()
    return found


def _sort_in(entry: "os.DirEntry[str]", relative: str, found: LoadedEncoder, waiting: deque[str]) -> None:
    if entry.name in LEAVINGS or entry.name.startswith(LEAVINGS_BEGIN):
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
        waiting.append(relative)  # links last, so that an image is known by its real place where there is one
    elif not stat.S_ISREG(mode):
        found.left_out.add("pipe(s), socket(s) or device(s) are no files", relative)
    elif why := _why_no_image(entry):
        found.left_out.add(why, relative)
    else:
        found.files.append(relative)


def _note_hidden(entry: "os.DirEntry[str]", relative: str, found: LoadedEncoder) -> None:
    if entry.is_dir(follow_symlinks=False):
        found.left_out.add("hidden folder(s) are not entered", relative)
    elif entry.name.lower().endswith(EXTENSIONS):
        found.left_out.add("hidden image(s) are not used", relative)


def _why_no_image(entry: "os.DirEntry[str]") -> str | None:
    """Why a file is not taken for an image; None: it is."""
    ending = os.path.splitext(entry.name)[1].lower()
    if ending == ".tar":
        return ".tar file(s) are not read beside other files: name them by --data"
    if ending in BESIDE:
        return f"{ending} file(s) are no images"
    name = ENDINGS.get(ending)
    if name in readable_formats():
        return None
    if kind := OTHER_ENDINGS.get(ending):
        return _not_read(kind)
    head = _head(entry.path)
    of_content = format_of_content(head)
    if of_content in readable_formats():
        return None
    if remedy := REMEDIES.get(of_content or name or ""):
        return f"{of_content or name} image(s) are not read: {remedy}"
    if kind := kind_of_picture(head):
        return _not_read(kind)
    return f"{ending} file(s) are no images that can be read" if ending else "file(s) without an ending are no images"


def _not_read(kind: str) -> str:
    return f"{kind} file(s) are not read: convert them to PNG"


def _head(path: str) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def class_of(file: str) -> str:
    """The first folder of a relative path."""
    return file.split("/", 1)[0]


def classes_of(files: Iterable[str]) -> list[str] | None:
    """The first-level folders, sorted; None where most images lie in none of them, or there is but one."""
    files = list(files)
    names = sorted({class_of(file) for file in files if "/" in file})
    inside = sum("/" in file for file in files)
    return names if len(names) > 1 and inside > len(files) / 2 else None


def list_split(root: Path, files: Sequence[str], split: Split, of: str = "images") -> Listing:
    """Images of a split: those in `train/` or `test/` (or `val/`) where both are, else a fifth of each class is test.

    The parts may be spelled as `splits.py` knows them. Where training images are labelled, test images are the first
    part that is labelled too. Images without labels are all training images, and all test images; of a labelled folder
    those beside its classes are for training. A lone top folder is stepped into. `of` is what the files are called.

    Raises:
        UotaError: the split is empty.
    """
    left_out = LeftOut()
    root, files = _step_in(root, files, left_out, of)
    tops = sorted({class_of(file) for file in files if "/" in file})
    train = [name for name in tops if split_of(name) == "train"]
    if train and test_names_first(tops):
        listing = _of_parts(root, files, split, train[0], test_names_first(tops), left_out, of)
    else:
        listing = _of_share(root, files, classes_of(files), split, left_out, of)
        left_out.remarks += _parts_taken_for_classes(files, tops, listing.classes)
    if not listing.files:
        raise UotaError(f"{root} has too few {of} of every class to set some aside: give each class at least 3 {of}")
    return listing


def _step_in(root: Path, files: Sequence[str], left_out: LeftOut, of: str) -> tuple[Path, Sequence[str]]:
    """Past folders that hold little but one folder, such as an unpacked archive, or `train/` alone."""
    while len({class_of(file) for file in files if "/" in file}) == 1:
        inside = [file for file in files if "/" in file]
        if len(inside) <= len(files) / 2:
            break
        top = class_of(inside[0])
        _leave_out([file for file in files if "/" not in file], f"{_some(of)} beside {top}/ are not used", left_out)
        root, files = root / top, [file.split("/", 1)[1] for file in inside]
    return root, files


def _of_parts(
    root: Path, files: Sequence[str], split: Split, train: str, tests: list[str], left_out: LeftOut, of: str
) -> Listing:
    """Of folders that are parts. A part without labels cannot be evaluated on, where training images have some."""
    inner = {name: _within(files, name) for name in (train, *tests)}
    labelled = classes_of(inner[train]) is not None
    usable = [name for name in tests if not labelled or _is_labelled(inner[name])]
    test = usable[0] if usable else None
    some, without = _some(of), set(tests) - set(usable)
    for name in sorted(without):
        unlabelled = [f"{name}/{file}" for file in inner[name]]
        _leave_out(unlabelled, f"{some} of {name}/ have no labels, and are not evaluated on", left_out)
    unused = [file for file in files if class_of(file) not in {train, test} | without]
    _leave_out(unused, f"{some} are in neither {train}/ nor {test or 'a test part'}/, and are not used", left_out)
    if test is None:
        return _of_share(root / train, inner[train], classes_of(inner[train]), split, left_out, of)
    if not labelled and classes_of(inner[test]) is not None:
        reason = f"{some} to train on have no labels, so that nothing can be evaluated"
        left_out.add(reason, train, len(inner[train]))
    both = [*inner[train], *inner[test]]
    classes = sorted({class_of(file) for file in both if "/" in file}) if labelled else None
    chosen = train if split == "train" else test
    _warn_beside_classes(inner[chosen], classes, left_out, of)
    return Listing(root / chosen, inner[chosen], classes, left_out)


def _of_share(
    root: Path, files: Sequence[str], classes: list[str] | None, split: Split, left_out: LeftOut, of: str
) -> Listing:
    """A fifth of each class for evaluation; without classes everything is for both."""
    if classes is None:
        return Listing(root, list(files), None, left_out)
    place = {name: number for number, name in enumerate(classes)}
    labels = np.array([place[class_of(file)] if "/" in file else UNLABELLED for file in files])
    chosen = in_share(map(os.fsencode, files), labels, split)
    _warn_beside_classes(files, classes, left_out, of)
    return Listing(root, [file for file, is_in in zip(files, chosen, strict=True) if is_in], classes, left_out)


def _parts_taken_for_classes(files: Sequence[str], tops: list[str], classes: list[str] | None) -> list[str]:
    """What is said where folders have names of parts, and are no parts as they lie."""
    if classes is None:
        return []
    if parts := [name for name in tops if split_of(name)]:
        return [f"{', '.join(parts)} is taken for a class: parts are a training folder and a test folder beside it"]
    within = {file.split("/")[1] for file in files if file.count("/") > 1}
    if within and all(split_of(name) for name in within):
        return [f"{', '.join(sorted(within))} lie within folders that are taken for classes ({tops[0]} for one)"]
    return []


def _is_labelled(files: Sequence[str]) -> bool:
    """Whether most files of a part lie in folders."""
    return sum("/" in file for file in files) > len(files) / 2


def _within(files: Sequence[str], name: str) -> list[str]:
    return [file.split("/", 1)[1] for file in files if "/" in file and class_of(file) == name]


def _warn_beside_classes(files: Sequence[str], classes: list[str] | None, left_out: LeftOut, of: str) -> None:
    beside = [] if classes is None else [file for file in files if "/" not in file]
    _leave_out(beside, f"{_some(of)} lie beside the folders of classes, and have no label", left_out)


def _leave_out(files: Sequence[str], reason: str, left_out: LeftOut) -> None:
    for file in files:
        left_out.add(reason, file)


def _some(of: str) -> str:
    """A noun for one or several: image(s)."""
    return f"{of.removesuffix('s')}(s)"
