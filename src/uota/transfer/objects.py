"""One annotation of a COCO file: taken as it is, mended, or found at fault."""

from collections import Counter
from typing import Any, NamedTuple

from uota.settings.transfer import Task
from uota.transfer.values import flag, identity, number, numbers, whole_number

# Of a box within its image; less than this may be nothing at all once the image is resized in 32 bits.
LEAST_SIDE = 0.01
# Boxes of COCO itself reach over the border by rounding.
ROUNDING = 1.0
POLYGON = 6  # numbers in a triangle
LONGEST_RUN = 60  # bits of a run's length; pycocotools shifts within 64


class FaultError(Exception):
    """Why an object cannot be used, as the end of "objects …". For the reader of the file, which counts it."""


class Expected(NamedTuple):
    """What annotations of a file may speak of.

    Attributes:
        images: the number and the size (height, width) of each image that is used, by its identity.
        unused: identities of images that are listed, but left out.
        categories: their numbers, by their identities.
        keypoints: how many an object has; 0 where the task has none.
        task: what the objects are for.
    """

    images: dict[int | str, tuple[int, tuple[int, int]]]
    unused: set[int | str]
    categories: dict[int | str, int]
    keypoints: int
    task: Task


def checked(row: Any, expected: Expected, mended: Counter[str]) -> dict[str, Any] | None:
    """What the task needs of an annotation, with all fields that pycocotools reads; None: its image is left out.

    Raises:
        FaultError: it cannot be used.
    """
    if not isinstance(row, dict):
        raise FaultError("that are no objects of JSON")
    image, category = identity(row.get("image_id")), identity(row.get("category_id"))
    if image in expected.unused:
        return None
    if image not in expected.images:
        raise FaultError("of images that are not listed")
    if category not in expected.categories:
        raise FaultError("of categories that are not listed")
    number_of_image, size = expected.images[image]
    box = _box(row.get("bbox"), size, mended)
    taken = {
        "image_id": number_of_image,
        "category_id": expected.categories[category],
        "bbox": box,
        "iscrowd": _is_crowd(row.get("iscrowd")),
    }
    taken["area"] = _area(row.get("area"), box, mended)
    if expected.task == "segmentation":
        taken["segmentation"] = _mask(row.get("segmentation"), size, mended)
    if expected.task == "keypoints":
        points = _keypoints(row.get("keypoints"), expected.keypoints)
        taken |= {"keypoints": points, "num_keypoints": sum(seen > 0 for seen in points[2::3])}
    return taken


def inside(box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a box (left, top, width, height) that lies in an image (height, width): left, top, right, bottom."""
    (left, top, wide, high), (height, width) = box, size
    return max(left, 0.0), max(top, 0.0), min(left + wide, float(width)), min(top + high, float(height))


def _is_crowd(given: Any) -> int:
    crowd = flag(given)
    if crowd is None:
        raise FaultError("whose iscrowd is neither 0 nor 1")
    return crowd


def _box(given: Any, size: tuple[int, int], mended: Counter[str]) -> list[float]:
    box = numbers(given)
    if box is None or len(box) != 4:
        raise FaultError("without a box of four numbers")
    if min(box[2:]) < LEAST_SIDE:
        raise FaultError("with a box of no area")
    left, top, right, bottom = inside(box, size)
    if min(right - left, bottom - top) < LEAST_SIDE:
        raise FaultError("with a box outside of its image")
    if max(box[2] - (right - left), box[3] - (bottom - top)) > ROUNDING:
        mended["with a box that reaches out of its image, cut at the border for training"] += 1
    return box


def _area(given: Any, box: list[float], mended: Counter[str]) -> float:
    area = number(given)
    if area is not None and area > 0:
        return area
    mended["without an area, for which that of the box is taken"] += 1
    return box[2] * box[3]


def _mask(mask: Any, size: tuple[int, int], mended: Counter[str]) -> Any:
    if mask is None or mask == []:
        raise FaultError("without a mask")
    if isinstance(mask, list):
        parts = [part for part in map(numbers, mask) if part is not None and _is_polygon(part, max(size))]
        if not parts:
            raise FaultError("with a broken polygon")
        if len(parts) < len(mask):
            mended["with a broken polygon among others, which are taken"] += 1
        return parts
    counts = _run_lengths(mask, size) if isinstance(mask, dict) else None
    if counts is None:
        raise FaultError("with broken run lengths of a mask")
    return {"size": list(size), "counts": counts}


def _is_polygon(part: list[float], side: int) -> bool:
    """At least a triangle, and not so far away that drawing it would take for ever."""
    return len(part) >= POLYGON and len(part) % 2 == 0 and -side <= min(part) and max(part) <= 2 * side


def _run_lengths(mask: dict[str, Any], size: tuple[int, int]) -> list[int] | str | None:
    """Run lengths that are those of an image of this size; pycocotools would read beyond its memory otherwise."""
    given, counts = mask.get("size"), mask.get("counts")
    if not (isinstance(given, list) and tuple(map(whole_number, given)) == size):
        return None
    lengths = _decompressed(counts) if isinstance(counts, str) else _whole_numbers(counts)
    if lengths is None or min(lengths, default=0) < 0 or sum(lengths) != size[0] * size[1]:
        return None
    return counts if isinstance(counts, str) else lengths


def _whole_numbers(values: Any) -> list[int] | None:
    read = [whole_number(value) for value in values] if isinstance(values, list) else [None]
    found = [value for value in read if value is not None]
    return found if len(found) == len(read) else None


def _decompressed(text: str) -> list[int] | None:
    """Run lengths from COCO's text: five bits a letter, the lowest first, as differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > LONGEST_RUN:
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


def _keypoints(given: Any, count: int) -> list[float]:
    points = numbers(given)
    if points is None or len(points) != 3 * count:
        raise FaultError(f"without {count} keypoints of three numbers each")
    return points
