"""One annotation of a COCO file: taken as it is, mended, or found at fault."""

import math
from collections import Counter
from typing import Any, NamedTuple

from uota.transfer.settings import Task

# Of a box within its image; less than this may be nothing at all once the image is resized in 32 bits.
LEAST_SIDE = 0.01
# Boxes of COCO itself reach over the border by rounding.
ROUNDING = 1.0
POLYGON = 6  # numbers in a triangle


class FaultError(Exception):
    """Why an object cannot be used, as the end of "objects …". For the reader of the file, which counts it."""


class Expected(NamedTuple):
    """What annotations of a file may speak of.

    Attributes:
        sizes: (height, width) of the images that are there, by their number.
        missing: numbers of images that are listed, but are not there.
        categories: their numbers.
        keypoints: how many an object has; 0 where the task has none.
        task: what the objects are for.
    """

    sizes: dict[Any, tuple[int, int]]
    missing: set[Any]
    categories: set[Any]
    keypoints: int
    task: Task


def checked(row: Any, expected: Expected, mended: Counter[str]) -> dict[str, Any] | None:
    """What the task needs of an annotation, with all fields that pycocotools reads; None: its image is missing.

    Raises:
        FaultError: it cannot be used.
    """
    if not isinstance(row, dict):
        raise FaultError("that are no objects of JSON")
    image = row.get("image_id")
    if _known(image, expected.missing):
        return None
    if not _known(image, expected.sizes):
        raise FaultError("of images that are not listed")
    if not _known(row.get("category_id"), expected.categories):
        raise FaultError("of categories that are not listed")
    size = expected.sizes[image]
    box = _box(row.get("bbox"), size, mended)
    taken = {
        "image_id": image,
        "category_id": row["category_id"],
        "bbox": box,
        "iscrowd": int(bool(row.get("iscrowd"))),
    }
    taken["area"] = _area(row.get("area"), box, mended)
    if expected.task == "segmentation":
        taken["segmentation"] = _mask(row.get("segmentation"), size)
    if expected.task == "keypoints":
        points = _keypoints(row.get("keypoints"), expected.keypoints)
        taken |= {"keypoints": points, "num_keypoints": sum(seen > 0 for seen in points[2::3])}
    return taken


def inside(box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a box (left, top, width, height) that lies in an image (height, width): left, top, right, bottom."""
    (left, top, wide, high), (height, width) = box, size
    return max(left, 0.0), max(top, 0.0), min(left + wide, float(width)), min(top + high, float(height))


def _known(number: Any, listed: Any) -> bool:
    return isinstance(number, int) and number in listed


def _box(given: Any, size: tuple[int, int], mended: Counter[str]) -> list[float]:
    if not (isinstance(given, list) and len(given) == 4 and _finite(given)):
        raise FaultError("without a box of four numbers")
    box = [float(value) for value in given]
    if min(box[2:]) < LEAST_SIDE:
        raise FaultError("with a box of no area")
    left, top, right, bottom = inside(box, size)
    if min(right - left, bottom - top) < LEAST_SIDE:
        raise FaultError("with a box outside of its image")
    if max(box[2] - (right - left), box[3] - (bottom - top)) > ROUNDING:
        mended["with a box that reaches out of its image, cut at the border for training"] += 1
    return box


def _area(area: Any, box: list[float], mended: Counter[str]) -> float:
    if isinstance(area, int | float) and math.isfinite(area) and area > 0:
        return float(area)
    mended["without an area, for which that of the box is taken"] += 1
    return box[2] * box[3]


def _mask(mask: Any, size: tuple[int, int]) -> Any:
    if mask is None or mask == []:
        raise FaultError("without a mask")
    if isinstance(mask, list):
        parts = [part for part in mask if _is_polygon(part, max(size))]
        if not parts:
            raise FaultError("with a broken polygon")
        return parts
    if not (isinstance(mask, dict) and mask.get("size") == list(size) and _fills(mask.get("counts"), size)):
        raise FaultError("with broken run lengths of a mask")
    return mask


def _is_polygon(part: Any, side: int) -> bool:
    """At least a triangle, and not so far away that drawing it would take for ever."""
    if not (isinstance(part, list) and len(part) >= POLYGON and len(part) % 2 == 0 and _finite(part)):
        return False
    return -side <= min(part) and max(part) <= 2 * side


def _fills(counts: Any, size: tuple[int, int]) -> bool:
    """Whether run lengths are those of an image of this size; pycocotools would read beyond its memory otherwise."""
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(isinstance(count, int) and count >= 0 for count in counts):
        return False
    return sum(counts) == size[0] * size[1]


def _decompressed(text: str) -> list[int] | None:
    """Run lengths from COCO's text: five bits a letter, the lowest first, as differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # more follow
            continue
        if bits & 16:  # negative
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return None if shift else counts


def _keypoints(points: Any, count: int) -> list[float]:
    if not (isinstance(points, list) and len(points) == 3 * count and _finite(points)):
        raise FaultError(f"without {count} keypoints of three numbers each")
    return [float(value) for value in points]


def _finite(numbers: list) -> bool:
    try:
        return math.isfinite(math.fsum(numbers))
    except (TypeError, ValueError, OverflowError):  # text, nothing, or infinities that cancel
        return False
