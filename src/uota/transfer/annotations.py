"""COCO's annotation files: found, read, and checked once, so that no fault ends a training on its third day."""

import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uota.errors import UotaError
from uota.text import printable
from uota.transfer.objects import Expected, FaultError, checked
from uota.transfer.settings import Task

Part = Literal["train", "val"]
FILES: dict[Task, str] = {
    "detection": "instances",
    "segmentation": "instances",
    "keypoints": "person_keypoints",
}
LISTS = ("images", "annotations", "categories")


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
        images: id, file_name, height and width of each that is there.
        objects: of each image, as `checked` leaves them.
        categories: as the file has them, in its order.
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

    def __str__(self) -> str:
        count = sum(len(self.objects[index]) for index in range(len(self.objects)))
        remarks = "".join(f"; {number} {what}" for what, number in sorted(self.said.items()))
        return f"{self.file}: {len(self.images)} images with {count} objects{remarks}"


def open_both(folder: str | None, task: Task) -> tuple[Annotations, Annotations]:
    """The training and the validation part of a folder in COCO's layout.

    Raises:
        UotaError: one of them cannot be had, or they have different categories.
    """
    if folder is None:
        raise UotaError("say by --coco in which folder COCO was unpacked (train2017, val2017, annotations)")
    train, val = (open_annotations(Path(folder).expanduser(), part, task) for part in ("train", "val"))
    listed = [[(row["id"], row["name"], row.get("keypoints")) for row in part.categories] for part in (train, val)]
    if sorted(listed[0], key=repr) != sorted(listed[1], key=repr):
        raise UotaError(f"{train.file.name} and {val.file.name} have different categories; give two of one data set")
    return train, val


def open_annotations(folder: Path, part: Part, task: Task) -> Annotations:
    """Read one part, and leave out what cannot be used.

    Raises:
        UotaError: there is no such part, it is no file of COCO's or of another task, or nothing usable is in it.
    """
    file, images = _find(folder, part, task)
    content = _read(file)
    categories = _categories(content["categories"], file, task)
    said: Counter[str] = Counter()
    listed, missing = _images(content["images"], images, said)
    if not listed:
        raise UotaError(f"of the {len(content['images'])} images that {file} lists not one is in {images}")
    expected = Expected(
        sizes={row["id"]: (row["height"], row["width"]) for row in listed},
        missing=missing,
        categories={row["id"] for row in categories},
        keypoints=len(categories[0]["keypoints"]) if task == "keypoints" else 0,
        task=task,
    )
    objects = _objects(content["annotations"], expected, said)
    if not objects:
        reasons = ", ".join(f"{number} {what}" for what, number in said.items()) or "it is empty"
        raise UotaError(f"{file} has nothing for {task}: {reasons}; is it the file of another task?")
    packed = Packed([objects[row["id"]] for row in listed])
    return Annotations(file, images, listed, packed, categories, said)


def _find(folder: Path, part: Part, task: Task) -> tuple[Path, Path]:
    """The file of annotations, of the last year if there are several, and the folder of its images."""
    if not folder.is_dir():
        raise UotaError(f"there is no folder {folder}; give the one in which COCO was unpacked")
    pattern = f"{FILES[task]}_{part}*.json"
    found = sorted((folder / "annotations").glob(pattern))
    if not found:
        raise UotaError(
            f"{folder} has no annotations/{pattern}; COCO's layout is train2017/, val2017/ and annotations/ "
            f"(python -m uota.data.coco_scenes FOLDER writes a small one)"
        )
    images = folder / found[-1].stem.removeprefix(f"{FILES[task]}_")
    if not images.is_dir():
        raise UotaError(f"there is no folder {images}, which the images of {found[-1].name} belong in")
    return found[-1], images


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UotaError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UotaError(f"{file} is no JSON, or only a part of it: {error}; fetch it again") from error
    absent = [name for name in LISTS if not (isinstance(content, dict) and isinstance(content.get(name), list))]
    if absent:
        raise UotaError(f"{file} has no list of {', '.join(absent)}: it is no file of COCO's, or of another task")
    return content


def _categories(rows: list[Any], file: Path, task: Task) -> list[dict[str, Any]]:
    if not rows or not all(isinstance(row, dict) and isinstance(row.get("id"), int) and "name" in row for row in rows):
        raise UotaError(f"{file} has no categories with a number and a name; is it the file of another task?")
    if len({row["id"] for row in rows}) < len(rows):
        raise UotaError(f"{file} has two categories of the same id; number them")
    if task == "keypoints" and not all(row.get("keypoints") for row in rows):
        raise UotaError(f"the categories of {file} name no keypoints: it is the file of another task")
    if task == "keypoints" and len({len(row["keypoints"]) for row in rows}) > 1:
        raise UotaError(f"the categories of {file} have different numbers of keypoints; give them files of their own")
    return rows


def _images(rows: list[Any], folder: Path, said: Counter[str]) -> tuple[list[dict[str, Any]], set[Any]]:
    """Those that are there, and the numbers of those that are not."""
    there = {entry.name for entry in os.scandir(folder)}
    found: dict[Any, dict[str, Any]] = {}
    missing: dict[Any, str] = {}
    for row in rows:
        if not _is_image(row):
            said["listed images without id, file_name, height and width, left out"] += 1
        elif row["id"] in found:
            said["images listed twice, the first taken"] += 1
        elif row["file_name"] in there or (folder / row["file_name"]).is_file():
            found[row["id"]] = {name: row[name] for name in ("id", "file_name", "height", "width")}
        else:
            missing[row["id"]] = row["file_name"]
    if missing:
        first = printable(next(iter(missing.values())))
        said[f"images that are listed but not in {folder} ({first} for one), left out"] = len(missing)
    return list(found.values()), set(missing) - set(found)


def _is_image(row: Any) -> bool:
    if not (isinstance(row, dict) and isinstance(row.get("id"), int) and isinstance(row.get("file_name"), str)):
        return False
    return all(isinstance(row.get(side), int) and row[side] > 0 for side in ("height", "width"))


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
