"""Which files of a folder are images, what they are labelled and which split they belong to."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from uota.data.source import Split
from uota.errors import UotaError

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".avif"),
)
TEST_FOLDERS = ("test", "val", "valid", "validation")
# Share of each class that is set aside for evaluation where the folder itself does not say what to set aside.
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Listing:
    """Images of one split of a folder.

    Attributes:
        root: what the files are relative to; the first part of a relative path is the class.
        files: relative to `root`, sorted, with / between the parts.
        classes: of both splits, sorted; None: the images are not labelled.
    """

    root: Path
    files: list[str]
    classes: list[str] | None

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    def path(self, index: int) -> Path:
        """Where a file lies."""
        return self.root / self.files[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a file."""
        return np.fromfile(self.path(index), dtype=np.uint8)

    def labels(self) -> list[int] | None:
        """Place of each file's class in `classes`."""
        if self.classes is None:
            return None
        place = {name: number for number, name in enumerate(self.classes)}
        return [place[class_of(file)] for file in self.files]


def find_images(root: Path) -> tuple[list[str], list[str]]:
    """Image files under `root`, sorted and relative to it, and folders that may not be entered.

    Follows links to folders, each real folder once. Leaves out hidden files and folders, what archives of other
    systems leave behind (`__MACOSX`, `@eaDir`), and whatever is no file (pipes, sockets).
    """
    found: list[str] = []
    closed: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = deque([""])
    while waiting:
        folder = waiting.popleft()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError:
            closed.append(folder)
            continue
        for entry in entries:
            _sort_in(entry, f"{folder}/{entry.name}" if folder else entry.name, found, waiting)
    return sorted(found), closed


def _sort_in(entry: "os.DirEntry[str]", relative: str, found: list[str], waiting: deque[str]) -> None:
    if entry.name.startswith((".", "__MACOSX", "@eaDir")):
        return
    if entry.is_dir(follow_symlinks=False):
        waiting.appendleft(relative)
    elif _is_dir(entry):
        waiting.append(relative)  # links last, so that an image is known by its real place where there is one
    elif entry.name.lower().endswith(EXTENSIONS) and (entry.is_symlink() or entry.is_file()):
        found.append(relative)  # a broken link is an image that cannot be read, and is named as such


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def class_of(file: str) -> str:
    """The first folder of a relative path."""
    return file.split("/", 1)[0]


def classes_of(files: Iterable[str]) -> list[str] | None:
    """The first-level folders, sorted; None where an image lies in none of them, or there is but one."""
    files = list(files)
    names = sorted({class_of(file) for file in files})
    return names if len(names) > 1 and all("/" in file for file in files) else None


def list_split(root: Path, files: Sequence[str], split: Split, of: str = "images") -> Listing:
    """Images of a split: those in `train/` or `test/` (or `val/`) where both are, else a fifth of each class is test.

    Images without labels are all training images, and all test images. A lone top folder is stepped into. `of` is what
    the files are called.

    Raises:
        UotaError: the split is empty.
    """
    root, files = _step_in(root, files)
    tops = {class_of(file) for file in files if "/" in file}
    test_folder = next((name for name in TEST_FOLDERS if name in tops), None)
    if "train" in tops and test_folder:
        listing = _of_folder(root, files, "train" if split == "train" else test_folder, ["train", test_folder])
    else:
        classes = classes_of(files)
        listing = Listing(root, list(files) if classes is None else _of_share(files, split), classes)
    if not listing.files:
        raise UotaError(f"{root} has too few {of} of every class to set some aside: give each class at least 3 {of}")
    return listing


def _step_in(root: Path, files: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """Past folders that hold nothing but one folder, such as an unpacked archive, or `train/` alone."""
    while len({class_of(file) for file in files}) == 1 and "/" in files[0]:
        root, files = root / class_of(files[0]), [file.split("/", 1)[1] for file in files]
    return root, files


def _of_folder(root: Path, files: Sequence[str], chosen: str, both: list[str]) -> Listing:
    inner = {name: [file.split("/", 1)[1] for file in files if class_of(file) == name] for name in both}
    classes = classes_of(file for name in both for file in inner[name])
    return Listing(root / chosen, inner[chosen], classes)


def _of_share(files: Sequence[str], split: Split) -> list[str]:
    classes = np.unique([class_of(file) for file in files], return_inverse=True)[1]
    chosen = in_share(map(os.fsencode, files), classes, split)
    return [file for file, is_chosen in zip(files, chosen, strict=True) if is_chosen]


def in_share(names: Iterable[bytes], classes: Int64[np.ndarray, " len"], split: Split) -> Bool[np.ndarray, " len"]:
    """True for the images of a split where a fifth of each class is test, by a hash of the name.

    So neither order nor machine matters, and pictures taken in a row are parted.
    """
    first_digits = (int.from_bytes(hashlib.sha256(name).digest()[:8]) for name in names)
    rank = np.fromiter(first_digits, dtype=np.uint64, count=len(classes))
    test = np.zeros(len(classes), dtype=bool)
    for of_class in np.unique(classes):
        members = np.flatnonzero(classes == of_class)
        test[members[rank[members].argsort(kind="stable")][: round(TEST_SHARE * len(members))]] = True
    return test if split == "test" else ~test
