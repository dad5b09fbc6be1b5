"""What a detector found, in COCO's form, and its average precision by pycocotools."""

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from torch import Tensor
from torchvision.ops import box_convert

from uota.settings.transfer import Task
from uota.transfer.annotations import Annotations

# pycocotools' name of what is compared, by ours.
COMPARED: dict[str, str] = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}
OF_TASK: dict[Task, tuple[str, ...]] = {
    "detection": ("boxes",),
    "segmentation": ("boxes", "masks"),
    "keypoints": ("boxes", "keypoints"),
}
# COCO measured for each of a person's 17 keypoints how well people agree on it; of others nobody did.
PERSON, OTHERS = 17, 0.05
MASK = 0.5


@dataclass(frozen=True)
class Precision:
    """Average precision in per cent: over IoU (or keypoint similarity) 0.5 to 0.95, at 0.5 and at 0.75.

    None where there is nothing to find.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None

    def __str__(self) -> str:
        values = {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}
        return "  ".join(f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in values.items())


def as_results(found: dict[str, Tensor], image: int, categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What torchvision's detectors return for an image, as COCO's list of results.

    Args:
        found: boxes, labels, scores, and masks or keypoints.
        image: its number.
        categories: of the labels 1, 2, ….
    """
    boxes = box_convert(found["boxes"].cpu().double(), "xyxy", "xywh").tolist()
    rows: list[dict[str, Any]] = [
        {"image_id": image, "category_id": categories[label - 1]["id"], "bbox": box, "score": score}
        for box, label, score in zip(boxes, found["labels"].tolist(), found["scores"].tolist(), strict=True)
    ]
    if "masks" in found:
        masks = (found["masks"][:, 0] > MASK).cpu().numpy().astype(np.uint8)
        rows = [row | {"segmentation": _encoded(mask)} for row, mask in zip(rows, masks, strict=True)]
    if "keypoints" in found:
        points = found["keypoints"].cpu().double().flatten(1).tolist()
        rows = [row | {"keypoints": each} for row, each in zip(rows, points, strict=True)]
    return rows


def average_precision(annotations: Annotations, results: list[dict[str, Any]], task: Task) -> dict[str, Precision]:
    """Of boxes, and of masks or keypoints, by pycocotools over all images of the annotations."""
    return {part: _of_part(annotations, results, part) for part in OF_TASK[task]}


def _of_part(annotations: Annotations, results: list[dict[str, Any]], part: str) -> Precision:
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):  # pycocotools tells all it does
        truth = _truth(annotations)
        evaluation = COCOeval(truth, _loaded(truth, results, part), COMPARED[part])
        if part == "keypoints" and len(annotations.keypoints) != PERSON:
            evaluation.params.kpt_oks_sigmas = np.full(len(annotations.keypoints), OTHERS)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, ap75 = (None if value < 0 else round(100 * float(value), 4) for value in evaluation.stats[:3])
    return Precision(ap, ap50, ap75)


def _truth(annotations: Annotations) -> Any:
    from pycocotools.coco import COCO

    truth = COCO()
    count = len(annotations.images)
    objects = [each for index in range(count) for each in annotations.objects[index]]
    truth.dataset = {"images": annotations.images, "annotations": objects, "categories": annotations.categories}
    truth.createIndex()
    return truth


def _loaded(truth: Any, results: list[dict[str, Any]], part: str) -> Any:
    """Results in pycocotools' index, which cannot load none, and takes a row with a box for one of boxes."""
    from pycocotools.coco import COCO

    if not results:
        empty = COCO()
        empty.dataset = truth.dataset | {"annotations": []}
        empty.createIndex()
        return empty
    other = {"boxes": ("segmentation", "keypoints"), "masks": ("bbox",), "keypoints": ("bbox",)}[part]
    return truth.loadRes([{name: value for name, value in row.items() if name not in other} for row in results])


def _encoded(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask))
    return encoded | {"counts": encoded["counts"].decode()}


def describe(precision: dict[str, Precision]) -> str:
    """A line for a person."""
    return "   ".join(f"{part} {each}" for part, each in precision.items())
