"""Find, read and check COCO annotation files up front, so that a bad record cannot stop a training days later."""

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
from uota.transfer.objects import Expected, FaultError, clean_annotation
from uota.transfer.values import assign_numbers, parse_id, parse_integer

Part = Literal["train", "val"]
FILE_PREFIXES: dict[Task, str] = {
    "detection": "instances",
    "segmentation": "instances",
    "keypoints": "person_keypoints",
}
LISTS = ("images", "annotations", "categories")
# COCO's largest file is 450 MB; those of larger data sets are a few times that size.
FILE_BYTES = 4 * 2**30
LARGEST_SIDE = 100_000  # longest accepted image side, in pixels
LONGEST_NAME = 80  # characters of a file name shown in a message


class PackedLists:
    """Lists serialised into one array, which worker processes share; each would end up copying Python objects."""

    def __init__(self, lists: list[list[dict[str, Any]]]) -> None:
        packed = [json.dumps(each).encode() for each in lists]
        self.ends = np.cumsum([len(each) for each in packed], dtype=np.int64)
        self.bytes = np.frombuffer(b"".join(packed), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        """Deserialise the list at this index."""
        start = 0 if index == 0 else self.ends[index - 1]
        return json.loads(self.bytes[start : self.ends[index]].tobytes())


@dataclass(frozen=True)
class Annotations:
    """The usable images and objects of one part (train or val) of a data set.

    Attributes:
        file: the annotation file that was read.
        folder: the folder that holds the images.
        images: id, file_name, height and width of each usable image; `given` is the id in the file if it differs.
        objects: for each image, its objects as `clean_annotation` returns them.
        categories: id, name, and where present keypoints and `given`, in the file's order.
        remarks: what was left out or corrected, and how often.
    """

    file: Path
    folder: Path
    images: list[dict[str, Any]]
    objects: PackedLists
    categories: list[dict[str, Any]]
    remarks: Counter[str] = field(default_factory=Counter)

    @property
    def keypoints(self) -> list[str]:
        """Names of an object's keypoints; empty if the file defines none."""
        return list(self.categories[0].get("keypoints", []))

    def restore_ids(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return COCO results with the ids used in the annotation file, as other tools expect them."""
        images = {row["id"]: row["given"] for row in self.images if "given" in row}
        categories = {row["id"]: row["given"] for row in self.categories if "given" in row}
        if not (images or categories):
            return results
        return [
            row
            | {
                "image_id": images.get(row["image_id"], row["image_id"]),
                "category_id": categories.get(row["category_id"], row["category_id"]),
            }
            for row in results
        ]

    def __str__(self) -> str:
        count = sum(len(self.objects[index]) for index in range(len(self.objects)))
        remarks = "".join(f"; {number} {remark}" for remark, number in sorted(self.remarks.items()))
        return f"{printable(self.file)}: {len(self.images)} images with {count} objects{remarks}"


def open_both(folder: str | None, task: Task) -> tuple[Annotations, Annotations]:
    """Read the training and the validation part of a folder in COCO's layout.

    Raises:
        UotaError: either part is unavailable, or their categories differ.
    """
    if folder is None:
        raise UotaError("no COCO folder is given; set --coco to the folder with train2017, val2017 and annotations")
    train, val = (open_annotations(path_of(folder), part, task) for part in ("train", "val"))
    listed = [
        sorted(((row["id"], row["name"], row.get("keypoints")) for row in part.categories), key=repr)
        for part in (train, val)
    ]
    if listed[0] != listed[1]:
        raise UotaError(
            f"{train.file.name} and {val.file.name} have different categories; use two files of the same data set"
        )
    # A detector identifies a category by its position in the training part's list.
    of_val = {row["id"]: row for row in val.categories}
    return train, replace(val, categories=[of_val[row["id"]] for row in train.categories])


def open_annotations(folder: Path, part: Part, task: Task) -> Annotations:
    """Read one part and leave out what cannot be used.

    Raises:
        UotaError: the part is missing, is not a COCO file, belongs to another task, or has nothing usable.
    """
    file, images = _find_files(folder, part, task)
    content = _read(file)
    categories, category_numbers = _categories(content["categories"], file, task)
    remarks: Counter[str] = Counter()
    rows, unused = _images(content["images"], images, remarks)
    if not rows:
        raise UotaError(
            f"none of the {len(content['images'])} images listed in {printable(file)} can be used: {_reasons(remarks)}"
        )
    numbers = assign_numbers(rows.keys() | unused)
    listed = [_with_id(row, numbers[image_id]) for image_id, row in rows.items()]
    expected = Expected(
        images={image_id: (numbers[image_id], (row["height"], row["width"])) for image_id, row in rows.items()},
        unused=unused,
        categories=category_numbers,
        keypoints=len(categories[0]["keypoints"]) if task == "keypoints" else 0,
        task=task,
    )
    objects = _objects(content["annotations"], expected, remarks)
    if not objects:
        raise UotaError(
            f"{printable(file)} has nothing for {task}: {_reasons(remarks)}; it may be the file of another task"
        )
    packed = PackedLists([objects[row["id"]] for row in listed])
    return Annotations(file, images, listed, packed, categories, remarks)


def _reasons(remarks: Counter[str]) -> str:
    return ", ".join(f"{number} {remark}" for remark, number in remarks.items()) or "it is empty"


def _with_id(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Set an image's or category's id to its number; the file's own id is kept as `given` if it differs."""
    given = {} if row["id"] == number and not isinstance(row["id"], str) else {"given": row["id"]}
    return row | {"id": number} | given


def _find_files(folder: Path, part: Part, task: Task) -> tuple[Path, Path]:
    """Return the annotation file (the latest year's, if there are several) and the folder of its images."""
    if not folder.is_dir():
        raise UotaError(f"there is no folder {folder}; give the folder into which COCO was unpacked")
    pattern = f"{FILE_PREFIXES[task]}_{part}*.json"
    found = sorted((folder / "annotations").glob(pattern))
    if not found:
        raise UotaError(
            f"{folder} has no annotations/{pattern}; COCO's layout is train2017/, val2017/ and annotations/ "
            f"(python -m uota.data.demo.coco_scenes FOLDER writes a small example)"
        )
    images = folder / found[-1].stem.removeprefix(f"{FILE_PREFIXES[task]}_")
    if not images.is_dir():
        raise UotaError(f"there is no folder {images}; put the images of {found[-1].name} there")
    return found[-1], images


def _read(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file, FILE_BYTES)
    except OSError as error:
        raise UotaError(f"{printable(file)} cannot be read: {printable(error.strerror or str(error))}") from error
    except ValueError as error:
        raise UotaError(
            f"{printable(file)} is not valid JSON, or is incomplete: {printable(str(error))}; download it again"
        ) from error
    absent = [name for name in LISTS if not (isinstance(content, dict) and isinstance(content.get(name), list))]
    if absent:
        raise UotaError(
            f"{file} has no list of {', '.join(absent)}, so it is not a COCO file or belongs to another task; "
            "use the annotation file of this task"
        )
    return content


def _categories(rows: list[Any], file: Path, task: Task) -> tuple[list[dict[str, Any]], dict[int | str, int]]:
    """Return the categories, and their numbers by id.

    Raises:
        UotaError: a category lacks an id, a name, or the keypoints that the task needs.
    """
    shown = printable(file)
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
        raise UotaError(f"{shown} has no categories with an id and a name; it may be the file of another task")
    ids = [parse_id(row.get("id")) for row in rows]
    numbers = assign_numbers({each for each in ids if each is not None})
    if None in ids:
        raise UotaError(f"{shown} has categories whose id is neither a number nor a string; number them")
    if len(numbers) < len(rows):
        raise UotaError(f"{shown} has two categories with the same id; number them")
    if task == "keypoints":
        _check_keypoints([row.get("keypoints") for row in rows], shown)
    kept = [{name: row[name] for name in ("id", "name", "keypoints") if name in row} for row in rows]
    return [_with_id(row, numbers[each]) for row, each in zip(kept, ids, strict=True) if each is not None], numbers


def _check_keypoints(lists: list[Any], file: str) -> None:
    if not all(lists):
        raise UotaError(f"the categories of {file} name no keypoints; use the person_keypoints file")
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise UotaError(f"the keypoints of the categories of {file} are not lists of names; correct the file")
    if len({len(names) for names in lists}) > 1:
        raise UotaError(f"the categories of {file} have different numbers of keypoints; split them into separate files")


def _images(
    rows: list[Any], folder: Path, remarks: Counter[str]
) -> tuple[dict[int | str, dict[str, Any]], set[int | str]]:
    """Return the usable images by id, and the ids of the unusable ones."""
    present = _files_in(folder)
    found: dict[int | str, dict[str, Any]] = {}
    unused: dict[int | str, None] = {}
    examples: dict[str, str] = {}
    for row in rows:
        image_id = parse_id(row.get("id")) if isinstance(row, dict) else None
        reason = "listed images without an id, left out" if image_id is None else _why_unused(row, folder, present)
        if image_id is None or reason:
            _count(reason or "", row, remarks, examples)
            unused |= {} if image_id is None else {image_id: None}
        elif image_id in found:
            remarks["images listed twice, the first kept"] += 1
        else:
            sides = {side: parse_integer(row[side]) for side in ("height", "width")}
            found[image_id] = {"id": row["id"], "file_name": row["file_name"], **sides}
    for reason, name in examples.items():
        remarks[reason.replace(", left out", f" (such as {name}), left out")] = remarks.pop(reason)
    return found, unused.keys() - found.keys()


def _count(reason: str, row: Any, remarks: Counter[str], examples: dict[str, str]) -> None:
    remarks[reason] += 1
    name = row.get("file_name") if isinstance(row, dict) else None
    if isinstance(name, str) and name:
        shown = printable(name[:LONGEST_NAME]) + ("…" if len(name) > LONGEST_NAME else "")
        examples.setdefault(reason, shown)


def _files_in(folder: Path) -> set[str]:
    """Return the names of the regular files; symbolic links are resolved later, one by one."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError as error:
        raise UotaError(f"{printable(folder)} cannot be read: {error.strerror}") from error


def _why_unused(row: dict[str, Any], folder: Path, present: set[str]) -> str | None:
    """Return the reason why an image cannot be used, worded for the count; None if it can."""
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        return "listed images without a file_name, left out"
    if not all(0 < (parse_integer(row.get(side)) or 0) <= LARGEST_SIDE for side in ("height", "width")):
        return f"listed images without a height and a width of 1 to {LARGEST_SIDE} pixels, left out"
    if _escapes_folder(name):
        return f"listed images whose file_name may point outside {printable(folder)}, left out"
    if name in present:
        return None
    try:
        is_regular = stat.S_ISREG(os.stat(folder / name).st_mode)
    except (OSError, ValueError):  # no such file, or a name that is too long or invalid
        return f"images that are listed but not in {printable(folder)}, left out"
    return None if is_regular else "listed images that are not regular files, left out"


def _escapes_folder(name: str) -> bool:
    """Whether a name points outside its folder, on POSIX or Windows, or contains control characters."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    has_control = any(category(character) == "Cc" for character in name)
    return has_control or any(path.anchor or ".." in path.parts for path in paths)


def _objects(rows: list[Any], expected: Expected, remarks: Counter[str]) -> dict[Any, list[dict[str, Any]]]:
    """Return the usable objects by image, numbered from 1 because pycocotools reads id 0 as "no match"."""
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    corrections: Counter[str] = Counter()
    number = 0
    for row in rows:
        try:
            kept = clean_annotation(row, expected, corrections)
        except FaultError as fault:
            remarks[f"objects {fault}, left out"] += 1
            continue
        if kept is not None:
            number += 1
            found[kept["image_id"]].append(kept | {"id": number})
    remarks.update({f"objects {correction}": count for correction, count in corrections.items()})
    return found
