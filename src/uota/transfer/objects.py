"""Validation of single COCO annotations: each is kept, corrected or rejected with a reason."""

from collections import Counter
from typing import Any, NamedTuple

from uota.settings.transfer import Task
from uota.transfer.values import parse_flag, parse_id, parse_integer, parse_number, parse_numbers

# Shortest side of a box within its image, in pixels; a shorter one can vanish when the image is resized in float32.
LEAST_SIDE = 0.01
# Pixels by which a box may exceed its image without a remark; rounding makes COCO's own boxes do so.
ROUNDING = 1.0
POLYGON = 6  # coordinates of a triangle
LONGEST_RUN = 60  # largest shift, in bits, while decoding a run length; pycocotools shifts 64-bit integers


class FaultError(Exception):
    """The reason why an object cannot be used, phrased to complete "objects …"; `annotations` counts these."""


class Expected(NamedTuple):
    """The images and categories that annotations of a file may refer to, and what the task needs of them.

    Attributes:
        images: number and size (height, width) of each usable image, by id.
        unused: ids of images that are listed but were left out.
        categories: number of each category, by id.
        keypoints: number of keypoints of an object; 0 if the task has none.
        task: the task that the objects are read for.
    """

    images: dict[int | str, tuple[int, tuple[int, int]]]
    unused: set[int | str]
    categories: dict[int | str, int]
    keypoints: int
    task: Task


def clean_annotation(row: Any, expected: Expected, corrections: Counter[str]) -> dict[str, Any] | None:
    """Return the fields of an annotation that the task and pycocotools need; None if its image was left out.

    Raises:
        FaultError: the annotation cannot be used.
    """
    if not isinstance(row, dict):
        raise FaultError("that are not JSON objects")
    image, category = parse_id(row.get("image_id")), parse_id(row.get("category_id"))
    if image in expected.unused:
        return None
    if image not in expected.images:
        raise FaultError("of images that are not listed")
    if category not in expected.categories:
        raise FaultError("of categories that are not listed")
    image_number, size = expected.images[image]
    box = _box(row.get("bbox"), size, corrections)
    kept = {
        "image_id": image_number,
        "category_id": expected.categories[category],
        "bbox": box,
        "iscrowd": _is_crowd(row.get("iscrowd")),
    }
    kept["area"] = _area(row.get("area"), box, corrections)
    if expected.task == "segmentation":
        kept["segmentation"] = _mask(row.get("segmentation"), size, corrections)
    if expected.task == "keypoints":
        points = _keypoints(row.get("keypoints"), expected.keypoints)
        kept |= {"keypoints": points, "num_keypoints": sum(visibility > 0 for visibility in points[2::3])}
    return kept


def clip_box(box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Clip a box (left, top, width, height) to an image (height, width); returns left, top, right, bottom."""
    (left, top, wide, high), (height, width) = box, size
    return max(left, 0.0), max(top, 0.0), min(left + wide, float(width)), min(top + high, float(height))


def _is_crowd(given: Any) -> int:
    crowd = parse_flag(given)
    if crowd is None:
        raise FaultError("whose iscrowd is neither 0 nor 1")
    return crowd


def _box(given: Any, size: tuple[int, int], corrections: Counter[str]) -> list[float]:
    box = parse_numbers(given)
    if box is None or len(box) != 4:
        raise FaultError("without a box of four numbers")
    if min(box[2:]) < LEAST_SIDE:
        raise FaultError("with an empty box")
    left, top, right, bottom = clip_box(box, size)
    if min(right - left, bottom - top) < LEAST_SIDE:
        raise FaultError("with a box outside its image")
    if max(box[2] - (right - left), box[3] - (bottom - top)) > ROUNDING:
        corrections["with a box that exceeds its image, clipped for training"] += 1
    return box


def _area(given: Any, box: list[float], corrections: Counter[str]) -> float:
    area = parse_number(given)
    if area is not None and area > 0:
        return area
    corrections["without an area, replaced by that of the box"] += 1
    return box[2] * box[3]


def _mask(mask: Any, size: tuple[int, int], corrections: Counter[str]) -> Any:
    if mask is None or mask == []:
        raise FaultError("without a mask")
    if isinstance(mask, list):
        parts = [part for part in map(parse_numbers, mask) if part is not None and _is_polygon(part, max(size))]
        if not parts:
            raise FaultError("with a broken polygon")
        if len(parts) < len(mask):
            corrections["with a broken polygon, of which the other polygons are kept"] += 1
        return parts
    counts = _run_lengths(mask, size) if isinstance(mask, dict) else None
    if counts is None:
        raise FaultError("with broken run lengths in its mask")
    return {"size": list(size), "counts": counts}


def _is_polygon(part: list[float], side: int) -> bool:
    """Whether the coordinates form at least a triangle, close enough to the image to be rasterised quickly."""
    return len(part) >= POLYGON and len(part) % 2 == 0 and -side <= min(part) and max(part) <= 2 * side


def _run_lengths(mask: dict[str, Any], size: tuple[int, int]) -> list[int] | str | None:
    """Return run lengths that cover an image of this size exactly; others would make pycocotools overrun its buffer."""
    given, counts = mask.get("size"), mask.get("counts")
    if not (isinstance(given, list) and tuple(map(parse_integer, given)) == size):
        return None
    lengths = decode_run_lengths(counts) if isinstance(counts, str) else _whole_numbers(counts)
    if lengths is None or min(lengths, default=0) < 0 or sum(lengths) != size[0] * size[1]:
        return None
    return counts if isinstance(counts, str) else lengths


def _whole_numbers(values: Any) -> list[int] | None:
    read = [parse_integer(value) for value in values] if isinstance(values, list) else [None]
    found = [value for value in read if value is not None]
    return found if len(found) == len(read) else None


def decode_run_lengths(text: str) -> list[int] | None:
    """Decode COCO's compressed run lengths (rleFrString in pycocotools' maskApi.c).

    Each character holds five bits of a number, lowest first; from the fourth on, a number is a difference to the
    run length two places before.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > LONGEST_RUN:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # continuation bit
            continue
        if bits & 16:  # sign bit
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return None if shift else counts


def _keypoints(given: Any, count: int) -> list[float]:
    points = parse_numbers(given)
    if points is None or len(points) != 3 * count:
        raise FaultError(f"without {count} keypoints of three numbers each")
    return points
