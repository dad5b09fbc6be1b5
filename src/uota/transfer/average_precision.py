"""Detections in COCO's results format, and their average precision as pycocotools computes it."""

from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from torch import Tensor
from torchvision.ops import box_convert

from uota.settings.transfer import Task
from uota.transfer.annotations import Annotations

# pycocotools' `iouType` of each part of a detection.
IOU_TYPES: dict[str, str] = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}
PARTS_OF_TASK: dict[Task, tuple[str, ...]] = {
    "detection": ("boxes",),
    "segmentation": ("boxes", "masks"),
    "keypoints": ("boxes", "keypoints"),
}
# COCO publishes the annotators' deviation (sigma) for each of a person's 17 keypoints; other keypoints get this one.
PERSON_KEYPOINTS, OTHER_SIGMA = 17, 0.05
MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Precision:
    """Average precision in per cent; None if there is nothing to detect.

    Attributes:
        ap: mean over thresholds of IoU (or keypoint similarity) from 0.5 to 0.95.
        ap50: at a threshold of 0.5.
        ap75: at a threshold of 0.75.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None

    def __str__(self) -> str:
        values = {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}
        return "  ".join(f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in values.items())


def as_results(found: dict[str, Tensor], image: int, categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Convert what torchvision's detectors return for an image to COCO's list of results.

    Args:
        found: boxes, labels, scores, and masks or keypoints.
        image: id of the image.
        categories: the categories that labels 1, 2, … stand for.
    """
    boxes = box_convert(found["boxes"].cpu().double(), "xyxy", "xywh").tolist()
    rows: list[dict[str, Any]] = [
        {"image_id": image, "category_id": categories[label - 1]["id"], "bbox": box, "score": score}
        for box, label, score in zip(boxes, found["labels"].tolist(), found["scores"].tolist(), strict=True)
    ]
    if "masks" in found:
        masks = (found["masks"][:, 0] > MASK_THRESHOLD).cpu().numpy().astype(np.uint8)
        rows = [row | {"segmentation": _run_length_encode(mask)} for row, mask in zip(rows, masks, strict=True)]
    if "keypoints" in found:
        points = found["keypoints"].cpu().double().flatten(1).tolist()
        rows = [row | {"keypoints": each} for row, each in zip(rows, points, strict=True)]
    return rows


def average_precision(annotations: Annotations, results: list[dict[str, Any]], task: Task) -> dict[str, Precision]:
    """Compute the average precision of boxes, and of masks or keypoints, over all images of the annotations."""
    return {part: _precision_of(annotations, results, part) for part in PARTS_OF_TASK[task]}


def _precision_of(annotations: Annotations, results: list[dict[str, Any]], part: str) -> Precision:
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):  # pycocotools prints its progress
        truth = _ground_truth(annotations)
        evaluation = COCOeval(truth, _index_results(truth, results, part), IOU_TYPES[part])
        if part == "keypoints" and len(annotations.keypoints) != PERSON_KEYPOINTS:
            evaluation.params.kpt_oks_sigmas = np.full(len(annotations.keypoints), OTHER_SIGMA)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, ap75 = (None if value < 0 else round(100 * float(value), 4) for value in evaluation.stats[:3])
    return Precision(ap, ap50, ap75)


def _ground_truth(annotations: Annotations) -> Any:
    from pycocotools.coco import COCO

    truth = COCO()
    count = len(annotations.images)
    objects = [each for index in range(count) for each in annotations.objects[index]]
    truth.dataset = {"images": annotations.images, "annotations": objects, "categories": annotations.categories}
    truth.createIndex()
    return truth


def _index_results(truth: Any, results: list[dict[str, Any]], part: str) -> Any:
    """Index results as a COCO object; `loadRes` fails on an empty list and treats any row with a box as a box."""
    from pycocotools.coco import COCO

    if not results:
        empty = COCO()
        empty.dataset = truth.dataset | {"annotations": []}
        empty.createIndex()
        return empty
    other = {"boxes": ("segmentation", "keypoints"), "masks": ("bbox",), "keypoints": ("bbox",)}[part]
    return truth.loadRes([{name: value for name, value in row.items() if name not in other} for row in results])


def _run_length_encode(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask))
    return encoded | {"counts": encoded["counts"].decode()}


def describe(precision: dict[str, Precision]) -> str:
    """Format the precision of all parts as one line."""
    return "   ".join(f"{part} {each}" for part, each in precision.items())
