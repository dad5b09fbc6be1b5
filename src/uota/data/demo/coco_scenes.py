"""Writes demo scenes as a small data set in COCO's layout: python -m uota.data.demo.coco_scenes FOLDER

    FOLDER/train2017/000000000001.jpg …            FOLDER/val2017/…
    FOLDER/annotations/instances_train2017.json    boxes, masks, ten categories
    FOLDER/annotations/person_keypoints_train2017.json    one category with five keypoints

As in COCO, most masks are polygons, and masks with holes or of crowds are run lengths; some images contain no object,
and the category numbers have gaps.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Bool
from numpy.typing import NDArray
from PIL import Image

from uota.data.demo.scenes import Scenes, open_scenes
from uota.data.source import Split
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.outputs import is_nonempty_dir

FOLDERS: dict[Split, str] = {"train": "train2017", "test": "val2017"}
# The extreme points of a silhouette, and its centre of mass.
KEYPOINTS = ("left", "right", "top", "bottom", "centre")
GARMENT = 1
# Fainter pixels are background, or the soft edge of an object.
FAINT = 32
# A silhouette of fewer pixels is too small to detect.
SMALLEST = 20
# Every 25th image is empty, and in every 16th the smaller object is a crowd.
EMPTY, CROWD = 25, 16
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Thing:
    """An object of a scene.

    Attributes:
        kind: its class, from 0.
        mask: its silhouette.
        crowd: whether it is annotated as a crowd.
    """

    kind: int
    mask: Bool[NDArray[np.bool_], "side side"]
    crowd: bool


def write_coco_scenes(folder: Path, train: int = 400, test: int = 200) -> None:
    """Write the first scenes of each split with their annotations.

    Args:
        folder: a new or empty folder.
        train, test: number of images, at most 8,000 and 2,000.

    Raises:
        UotaError: there are fewer scenes, or the folder is not empty or cannot be written.
    """
    if is_nonempty_dir(folder):
        raise UotaError(f"{folder} is not empty: give a new folder")
    counts: dict[Split, int] = {"train": train, "test": test}
    for split, count in counts.items():
        scenes = open_scenes(split)
        if not 1 <= count <= len(scenes):
            raise UotaError(f"{split}={count}: give a number from 1 to {len(scenes)}")
        _write_split(folder, FOLDERS[split], scenes, count)


def _write_split(folder: Path, name: str, scenes: Scenes, count: int) -> None:
    images, found = [], []
    for index in range(count):
        pixels = scenes.images([index])[0][0].numpy()
        things = [] if index % EMPTY == EMPTY - 1 else _things(scenes, index)
        image = {"id": index + 1, "file_name": f"{index + 1:012}.jpg", "height": len(pixels), "width": len(pixels)}
        images.append(image)
        _write_image(folder / name / str(image["file_name"]), pixels if things else np.zeros_like(pixels))
        found += [(index + 1, thing) for thing in things]
    assert scenes.classes is not None
    kinds = [{"id": category_of(kind), "name": title} for kind, title in enumerate(scenes.classes)]
    garment = {"id": GARMENT, "name": "garment", "keypoints": list(KEYPOINTS), "skeleton": [[1, 5], [2, 5], [3, 5]]}
    numbered = [_annotation(number, image, thing) for number, (image, thing) in enumerate(found, 1)]
    with_points = [
        row | {"category_id": GARMENT} | _points(thing) for row, (_, thing) in zip(numbered, found, strict=True)
    ]
    _write_json(folder / "annotations" / f"instances_{name}.json", images, kinds, numbered)
    _write_json(folder / "annotations" / f"person_keypoints_{name}.json", images, [garment], with_points)


def category_of(kind: int) -> int:
    """The category number of a class."""
    return 2 * kind + 1


def _things(scenes: Scenes, index: int) -> list[Thing]:
    masks = (scenes.ink[index] >= FAINT).numpy()
    crowd = index % CROWD == CROWD - 1
    kinds = scenes.kinds[index].tolist()
    things = [
        Thing(kind, mask, crowd and place > 0) for place, (kind, mask) in enumerate(zip(kinds, masks, strict=True))
    ]
    return [thing for thing in things if thing.mask.sum() >= SMALLEST]


def _annotation(number: int, image: int, thing: Thing) -> dict[str, Any]:
    rows, columns = np.nonzero(thing.mask)
    left, top = int(columns.min()), int(rows.min())
    rings = None if thing.crowd else polygons(thing.mask)
    return {
        "id": number,
        "image_id": image,
        "category_id": category_of(thing.kind),
        "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
        "area": int(thing.mask.sum()),
        "iscrowd": int(thing.crowd),
        "segmentation": {"size": list(thing.mask.shape), "counts": run_lengths(thing.mask)} if rings is None else rings,
    }


def polygons(mask: Bool[NDArray[np.bool_], "height width"]) -> list[list[float]] | None:
    """Outlines (x, y, x, y, …) of a mask's parts; None if it has holes, which COCO's polygons cannot express."""
    # Contours pass between the centres of pixels, and the padding closes those at the border.
    lines = [np.asarray(line) for line in contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)]
    turns = [np.sign(_signed_area(line)) for line in lines]  # the outline of a hole has the other orientation
    if len(set(turns)) > 1:
        return None
    return [np.round(line[:-1] - 0.5, 2).flatten().tolist() for line in lines]


def _signed_area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def run_lengths(mask: Bool[NDArray[np.bool_], "height width"]) -> list[int]:
    """COCO's uncompressed run lengths: down the columns, starting with the number of zeros."""
    line = np.concatenate([[False], mask.flatten(order="F"), [False]])
    turns = np.flatnonzero(line[1:] != line[:-1])
    counts = np.diff(np.concatenate([[0], turns, [mask.size]])).tolist()
    return counts if counts[-1] else counts[:-1]


def _points(thing: Thing) -> dict[str, Any]:
    """Keypoints (x, y, visibility), all visible; a crowd has none."""
    rows, columns = np.nonzero(thing.mask)
    ends = {
        "left": (columns.min(), rows[columns == columns.min()].mean()),
        "right": (columns.max(), rows[columns == columns.max()].mean()),
        "top": (columns[rows == rows.min()].mean(), rows.min()),
        "bottom": (columns[rows == rows.max()].mean(), rows.max()),
        "centre": (columns.mean(), rows.mean()),
    }
    seen = [value for name in KEYPOINTS for value in (*(round(float(x) + 0.5, 2) for x in ends[name]), 2)]
    flat = [0] * len(seen) if thing.crowd else seen
    return {"keypoints": flat, "num_keypoints": 0 if thing.crowd else len(KEYPOINTS)}


def _write_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)


def _write_json(
    path: Path, images: list[dict[str, Any]], categories: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> None:
    info = {"description": "demo scenes of uota, from Fashion-MNIST (MIT licence)"}
    parts = {"info": info, "licenses": [], "images": images, "categories": categories, "annotations": annotations}
    write_text_atomically(path, json.dumps(parts))


if __name__ == "__main__":
    write_coco_scenes(Path(sys.argv[1]))
