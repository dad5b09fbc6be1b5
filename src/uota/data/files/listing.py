"""Assigns labels and splits to the images in a folder."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uota.data.files.decode import read_file
from uota.data.files.left_out import LeftOut
from uota.data.files.splits import UNLABELLED, in_share, split_of, test_names_first
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.reading import file_stamp

BESIDE = "{} are beside the folders of classes, and have no label"


@dataclass(frozen=True)
class Listing:
    """Images of a split of a folder.

    Attributes:
        root: the folder of the split.
        files: paths relative to `root`, sorted, with / between the parts.
        classes: names of the classes in all splits, sorted; None if the images are not labelled.
        left_out: images that belong to no split, or have no label.
        above: where the folders of classes are, relative to `root`: "" or, if several splits are listed, their folders
            with a / at the end.
        held_out: number of images that a share of the folder's holds back from this split.
    """

    root: Path
    files: list[str]
    classes: list[str] | None
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)
    above: tuple[str, ...] = ("",)
    held_out: int = 0

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    def path(self, index: int) -> Path:
        """Path of a file."""
        return self.root / self.files[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a file."""
        return read_file(self.path(index))

    def identity(self, index: int) -> bytes:
        """The file's path, size and times of change."""
        return file_stamp(self.path(index))

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The paths relative to `root`."""
        return map(os.fsencode, self.files)

    def labels(self) -> list[int] | None:
        """Index of each file's class in `classes`; -1 for a file outside the folders of classes."""
        if self.classes is None:
            return None
        place = {name: number for number, name in enumerate(self.classes)}
        return [place.get(class_of(inner), UNLABELLED) if "/" in inner else UNLABELLED for inner in self._inner()]

    def _inner(self) -> Iterator[str]:
        """Each file's path relative to the folder above its class; "" for a file outside these folders."""
        for file in self.files:
            yield next((file.removeprefix(above) for above in self.above if file.startswith(above)), "")


def class_of(file: str) -> str:
    """The first folder of a relative path."""
    return file.split("/", 1)[0]


def classes_of(files: Iterable[str]) -> list[str] | None:
    """The first-level folders, sorted; None if most images are in none of them, or if there is only one."""
    files = list(files)
    names = sorted({class_of(file) for file in files if "/" in file})
    inside = sum("/" in file for file in files)
    return names if len(names) > 1 and inside > len(files) / 2 else None


def list_split(root: Path, files: Sequence[str], split: Split, of: str = "images") -> Listing:
    """Images of a split: in `train/` or `test/` (or `val/`) if both exist, else a share of each class.

    `splits.py` lists the spellings of these names, and sets a fifth of each class aside if there are no such folders.
    If training images are labelled, the test split is the first test folder that is labelled too. Without labels both
    splits contain all images; in a labelled folder, images beside the class folders belong to training. A single top
    folder is entered. All ignores splits: it has all images, named relative to `root`.

    Args:
        root: the folder.
        files: paths relative to the folder.
        split: train, test or all.
        of: what the files are called in messages.

    Raises:
        UotaError: the split is empty.
    """
    if split == "all":
        return _list_all(root, files, of)
    left_out = LeftOut()
    root, files = _step_in(root, files, left_out, of)
    tops = _tops(files)
    train, tests = _parts(tops)
    if train:
        listing = _of_parts(root, files, split, train, tests, left_out, of)
    else:
        listing = _of_share(root, files, classes_of(files), split, left_out, of)
        left_out.remarks += _parts_taken_for_classes(files, tops, listing.classes)
    if not listing.files:
        raise UotaError(f"{root} has too few {of} of every class for a test split; give each class at least 3 {of}")
    return listing


def _list_all(root: Path, files: Sequence[str], of: str) -> Listing:
    """All images. With folders for splits, those in folders of classes of a split are labelled, if training is."""
    left_out = LeftOut()
    inner_root, inner = _step_in(root, files, LeftOut(), of)
    entered = "" if inner_root == root else f"{inner_root.relative_to(root).as_posix()}/"
    tops = _tops(inner)
    train, _ = _parts(tops)
    if train is None:
        classes = classes_of(inner)
        above: tuple[str, ...] = (entered,)
        left_out.remarks += _parts_taken_for_classes(inner, tops, classes)
    else:
        of_part = {name: _within(inner, name) for name in tops if split_of(name)}
        labelled = {name: within for name, within in of_part.items() if _is_labelled(within)}
        in_classes = [file for within in labelled.values() for file in within if "/" in file]
        classes = sorted(set(map(class_of, in_classes))) if classes_of(of_part[train]) else None
        above = tuple(f"{entered}{name}/" for name in labelled)
    listing = Listing(root, list(files), classes, left_out, above)
    labels = listing.labels()
    unlabelled = [file for file, label in zip(files, labels, strict=True) if label == UNLABELLED] if labels else []
    _leave_out(unlabelled, BESIDE.format(_some(of)), left_out)
    return listing


def _tops(files: Sequence[str]) -> list[str]:
    return sorted({class_of(file) for file in files if "/" in file})


def _parts(tops: Sequence[str]) -> tuple[str | None, list[str]]:
    """The training folder and the test folders; (None, []) unless there are both."""
    train = [name for name in tops if split_of(name) == "train"]
    tests = test_names_first(tops)
    return (train[0], tests) if train and tests else (None, [])


def _step_in(root: Path, files: Sequence[str], left_out: LeftOut, of: str) -> tuple[Path, Sequence[str]]:
    """Enter folders that contain little but one folder, such as an unpacked archive, or `train/` alone."""
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
    """A split that has its own folder; test folders without labels are used only if training has no labels either."""
    inner = {name: _within(files, name) for name in (train, *tests)}
    labelled = classes_of(inner[train]) is not None
    usable = [name for name in tests if not labelled or _is_labelled(inner[name])]
    test = usable[0] if usable else None
    some, without = _some(of), set(tests) - set(usable)
    for name in sorted(without):
        unlabelled = [f"{name}/{file}" for file in inner[name]]
        _leave_out(unlabelled, f"{some} of {name}/ have no labels, and are not used in evaluations", left_out)
    unused = [file for file in files if class_of(file) not in {train, test} | without]
    _leave_out(unused, f"{some} are in neither {train}/ nor {test or 'a test folder'}/, and are not used", left_out)
    if test is None:
        return _of_share(root / train, inner[train], classes_of(inner[train]), split, left_out, of)
    if not labelled and classes_of(inner[test]) is not None:
        reason = f"{some} for training have no labels, so that evaluations are impossible"
        left_out.add(reason, train, len(inner[train]))
    both = [*inner[train], *inner[test]]
    classes = sorted({class_of(file) for file in both if "/" in file}) if labelled else None
    chosen = train if split == "train" else test
    _warn_beside_classes(inner[chosen], classes, left_out, of)
    return Listing(root / chosen, inner[chosen], classes, left_out)


def _of_share(
    root: Path, files: Sequence[str], classes: list[str] | None, split: Split, left_out: LeftOut, of: str
) -> Listing:
    """A split of a folder without folders for splits: a fifth of each class is test; without classes, all images."""
    if classes is None:
        return Listing(root, list(files), None, left_out)
    place = {name: number for number, name in enumerate(classes)}
    labels = np.array([place[class_of(file)] if "/" in file else UNLABELLED for file in files])
    chosen = in_share(map(os.fsencode, files), labels, split)
    _warn_beside_classes(files, classes, left_out, of)
    inside = [file for file, is_in in zip(files, chosen, strict=True) if is_in]
    return Listing(root, inside, classes, left_out, held_out=len(files) - len(inside))


def _parts_taken_for_classes(files: Sequence[str], tops: list[str], classes: list[str] | None) -> list[str]:
    """Sentences on folders that are named like splits but do not form splits."""
    if classes is None:
        return []
    if parts := [name for name in tops if split_of(name)]:
        return [f"{', '.join(parts)} is read as a class; splits need a training folder and a test folder beside it"]
    within = {file.split("/")[1] for file in files if file.count("/") > 1}
    if within and all(split_of(name) for name in within):
        return [f"{', '.join(sorted(within))} are inside folders that are read as classes (such as {tops[0]})"]
    return []


def _is_labelled(files: Sequence[str]) -> bool:
    """Whether most files are in folders."""
    return sum("/" in file for file in files) > len(files) / 2


def _within(files: Sequence[str], name: str) -> list[str]:
    return [file.split("/", 1)[1] for file in files if "/" in file and class_of(file) == name]


def _warn_beside_classes(files: Sequence[str], classes: list[str] | None, left_out: LeftOut, of: str) -> None:
    beside = [] if classes is None else [file for file in files if "/" not in file]
    _leave_out(beside, BESIDE.format(_some(of)), left_out)


def _leave_out(files: Sequence[str], reason: str, left_out: LeftOut) -> None:
    for file in files:
        left_out.add(reason, file)


def _some(of: str) -> str:
    """Singular or plural of a noun: image(s) of images."""
    return f"{of.removesuffix('s')}(s)"
