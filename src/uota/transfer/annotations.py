"""COCO's annotation files: found, read, and checked once, so that no fault ends a training on its third day."""

import json
import os
import stat
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal
from unicodedata import category

import numpy as np

from uota.console import printable
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.io.reading import read_json
from uota.settings.transfer import Task
from uota.transfer.objects import Expected, FaultError, checked
from uota.transfer.values import identity, numbered, whole_number

Part = Literal["train", "val"]
FILES: dict[Task, str] = {
    "detection": "instances",
    "segmentation": "instances",
    "keypoints": "person_keypoints",
}
LISTS = ("images", "annotations", "categories")
# COCO's largest file has 450 MB, those of larger data sets a few times that.
FILE_BYTES = 4 * 2**30
LARGEST_SIDE = 100_000  # of an image, in pixels
LONGEST_NAME = 80  # characters that are shown of a name


class Packed:
    """Lists in one block of bytes: processes that load images share it, where Python's objects would be copied."""

    def __init__(self, lists: list[list[dict[str, Any]]]) -> None:
        packed = [json.dumps(each).encode() for each in lists]
        self.ends = np.cumsum([len(each) for each in packed], dtype=np.int64)
        self.bytes = np.frombuffer(b"".join(packed), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        """One of the lists, a copy."""
        start = 0 if index == 0 else self.ends[index - 1]
        return json.loads(self.bytes[start : self.ends[index]].tobytes())


@dataclass(frozen=True)
class Annotations:
    """One part of a data set, with nothing in it that could not be used.

    Attributes:
        file: it was read from.
        folder: of the images.
        images: id, file_name, height and width of each that is used; `given` is the file's id where it is no number.
        objects: of each image, as `checked` leaves them.
        categories: id, name, perhaps keypoints and `given`, in the file's order.
        said: what was left out or mended, and how often.
    """

    file: Path
    folder: Path
    images: list[dict[str, Any]]
    objects: Packed
    categories: list[dict[str, Any]]
    said: Counter[str] = field(default_factory=Counter)

    @property
    def keypoints(self) -> list[str]:
        """Names of an object's keypoints; none where the file has none."""
        return list(self.categories[0].get("keypoints", []))

    def as_given(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """COCO's list of results with the ids that the file has, for other tools."""
        images = {row["id"]: row["given"] for row in self.images if "given" in row}
        kinds = {row["id"]: row["given"] for row in self.categories if "given" in row}
        if not (images or kinds):
            return results
        return [
            row
            | {
                "image_id": images.get(row["image_id"], row["image_id"]),
                "category_id": kinds.get(row["category_id"], row["category_id"]),
            }
            for row in results
        ]

    def __str__(self) -> str:
        count = sum(len(self.objects[index]) for index in range(len(self.objects)))
        remarks = "".join(f"; {number} {what}" for what, number in sorted(self.said.items()))
        return f"{printable(self.file)}: {len(self.images)} images with {count} objects{remarks}"


def open_both(folder: str | None, task: Task) -> tuple[Annotations, Annotations]:
    """The training and the validation part of a folder in COCO's layout.

    Raises:
        UotaError: one of them cannot be had, or they have different categories.
    """
    if folder is None:
        raise UotaError("say by --coco in which folder COCO was unpacked (train2017, val2017, annotations)")
    train, val = (open_annotations(path_of(folder), part, task) for part in ("train", "val"))
    listed = [
        sorted(((row["id"], row["name"], row.get("keypoints")) for row in part.categories), key=repr)
        for part in (train, val)
    ]
    if listed[0] != listed[1]:
        raise UotaError(f"{train.file.name} and {val.file.name} have different categories; give two of one data set")
    # A detector knows categories by their place in the list of the training part.
    of_val = {row["id"]: row for row in val.categories}
    return train, replace(val, categories=[of_val[row["id"]] for row in train.categories])


def open_annotations(folder: Path, part: Part, task: Task) -> Annotations:
    """Read one part, and leave out what cannot be used.

    Raises:
        UotaError: there is no such part, it is no file of COCO's or of another task, or nothing usable is in it.
    """
    file, images = _find(folder, part, task)
    content = _read(file)
    categories, kinds = _categories(content["categories"], file, task)
    said: Counter[str] = Counter()
    rows, unused = _images(content["images"], images, said)
    if not rows:
        raise UotaError(
            f"of the {len(content['images'])} images that {printable(file)} lists not one can be used: {_reasons(said)}"
        )
    numbers = numbered(rows.keys() | unused)
    listed = [_with_id(row, numbers[known]) for known, row in rows.items()]
    expected = Expected(
        images={known: (numbers[known], (row["height"], row["width"])) for known, row in rows.items()},
        unused=unused,
        categories=kinds,
        keypoints=len(categories[0]["keypoints"]) if task == "keypoints" else 0,
        task=task,
    )
    objects = _objects(content["annotations"], expected, said)
    if not objects:
        raise UotaError(f"{printable(file)} has nothing for {task}: {_reasons(said)}; is it the file of another task?")
    packed = Packed([objects[row["id"]] for row in listed])
    return Annotations(file, images, listed, packed, categories, said)


def _reasons(said: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in said.items()) or "it is empty"


def _with_id(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A row of images or categories by its number; the id that the file has is kept where it is another."""
    kept = {} if row["id"] == number and not isinstance(row["id"], str) else {"given": row["id"]}
    return row | {"id": number} | kept


def _find(folder: Path, part: Part, task: Task) -> tuple[Path, Path]:
    """The file of annotations, of the last year if there are several, and the folder of its images."""
    if not folder.is_dir():
        raise UotaError(f"there is no folder {folder}; give the one in which COCO was unpacked")
    pattern = f"{FILES[task]}_{part}*.json"
    found = sorted((folder / "annotations").glob(pattern))
    if not found:
        raise UotaError(
            f"{folder} has no annotations/{pattern}; COCO's layout is train2017/, val2017/ and annotations/ "
            f"(python -m uota.data.demo.coco_scenes FOLDER writes a small one)"
        )
    images = folder / found[-1].stem.removeprefix(f"{FILES[task]}_")
    if not images.is_dir():
        raise UotaError(f"there is no folder {images}, which the images of {found[-1].name} belong in")
    return found[-1], images


def _read(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file, FILE_BYTES)
    except OSError as error:
        raise UotaError(f"{printable(file)} cannot be read: {printable(error.strerror or str(error))}") from error
    except ValueError as error:
        raise UotaError(
            f"{printable(file)} is no JSON, or only a part of it: {printable(str(error))}; fetch it again"
        ) from error
    absent = [name for name in LISTS if not (isinstance(content, dict) and isinstance(content.get(name), list))]
    if absent:
        raise UotaError(f"{file} has no list of {', '.join(absent)}: it is no file of COCO's, or of another task")
    return content


def _categories(rows: list[Any], file: Path, task: Task) -> tuple[list[dict[str, Any]], dict[int | str, int]]:
    """The categories, and their numbers by what they are known by.

    Raises:
        UotaError: they have no ids or names, or not what the task needs.
    """
    named = printable(file)
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
        raise UotaError(f"{named} has no categories with an id and a name; is it the file of another task?")
    known = [identity(row.get("id")) for row in rows]
    kinds = numbered({each for each in known if each is not None})
    if None in known:
        raise UotaError(f"{named} has categories without an id that is a number or a text; number them")
    if len(kinds) < len(rows):
        raise UotaError(f"{named} has two categories of the same id; number them")
    if task == "keypoints":
        _check_keypoints([row.get("keypoints") for row in rows], named)
    kept = [{name: row[name] for name in ("id", "name", "keypoints") if name in row} for row in rows]
    return [_with_id(row, kinds[each]) for row, each in zip(kept, known, strict=True) if each is not None], kinds


def _check_keypoints(lists: list[Any], file: str) -> None:
    if not all(lists):
        raise UotaError(f"the categories of {file} name no keypoints: it is the file of another task")
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise UotaError(f"the keypoints of the categories of {file} are no lists of names; correct it")
    if len({len(names) for names in lists}) > 1:
        raise UotaError(f"the categories of {file} have different numbers of keypoints; give them files of their own")


def _images(
    rows: list[Any], folder: Path, said: Counter[str]
) -> tuple[dict[int | str, dict[str, Any]], set[int | str]]:
    """Those that can be used, by what they are known by, and what those are known by that cannot."""
    there = _files_in(folder)
    found: dict[int | str, dict[str, Any]] = {}
    unused: dict[int | str, None] = {}
    examples: dict[str, str] = {}
    for row in rows:
        known = identity(row.get("id")) if isinstance(row, dict) else None
        reason = "listed images without an id, left out" if known is None else _why_unused(row, folder, there)
        if known is None or reason:
            _count(reason or "", row, said, examples)
            unused |= {} if known is None else {known: None}
        elif known in found:
            said["images listed twice, the first taken"] += 1
        else:
            sides = {side: whole_number(row[side]) for side in ("height", "width")}
            found[known] = {"id": row["id"], "file_name": row["file_name"], **sides}
    for reason, name in examples.items():
        said[reason.replace(", left out", f" ({name} for one), left out")] = said.pop(reason)
    return found, unused.keys() - found.keys()


def _count(reason: str, row: Any, said: Counter[str], examples: dict[str, str]) -> None:
    said[reason] += 1
    name = row.get("file_name") if isinstance(row, dict) else None
    if isinstance(name, str) and name:
        shown = printable(name[:LONGEST_NAME]) + ("…" if len(name) > LONGEST_NAME else "")
        examples.setdefault(reason, shown)


def _files_in(folder: Path) -> set[str]:
    """Names of regular files; links are looked at where they are needed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError as error:
        raise UotaError(f"{printable(folder)} cannot be read: {error.strerror}") from error


def _why_unused(row: dict[str, Any], folder: Path, there: set[str]) -> str | None:
    """Why an image cannot be used, as it is counted; None: it can."""
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        return "listed images without a file_name, left out"
    if not all(0 < (whole_number(row.get(side)) or 0) <= LARGEST_SIDE for side in ("height", "width")):
        return f"listed images without a height and a width of 1 to {LARGEST_SIDE} pixels, left out"
    if _leads_out(name):
        return f"listed images whose file_name may lead out of {printable(folder)}, left out"
    if name in there:
        return None
    try:
        is_regular = stat.S_ISREG(os.stat(folder / name).st_mode)
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return f"images that are listed but not in {printable(folder)}, left out"
    return None if is_regular else "listed images that are no regular files, left out"


def _leads_out(name: str) -> bool:
    """Whether a name is of a place elsewhere, on any system, or has characters that no name should have."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    has_control = any(category(character) == "Cc" for character in name)
    return has_control or any(path.anchor or ".." in path.parts for path in paths)


def _objects(rows: list[Any], expected: Expected, said: Counter[str]) -> dict[Any, list[dict[str, Any]]]:
    """Those that can be used, by their images. Numbered from 1: pycocotools takes 0 for none."""
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    mended: Counter[str] = Counter()
    number = 0
    for row in rows:
        try:
            taken = checked(row, expected, mended)
        except FaultError as fault:
            said[f"objects {fault}, left out"] += 1
            continue
        if taken is not None:
            number += 1
            found[taken["image_id"]].append(taken | {"id": number})
    said.update({f"objects {what}": count for what, count in mended.items()})
    return found
