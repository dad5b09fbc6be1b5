"""Average precision against pycocotools, called on the files in the usual way."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.ops import box_convert

from uota.transfer.annotations import open_annotations
from uota.transfer.average_precision import as_results, average_precision
from uota.transfer.images import rasterise


def guesses(annotations, task, jitter, seed=0):
    """Yield slightly moved ground truth with random scores, in the form that torchvision's detectors return."""
    random = torch.Generator().manual_seed(seed)
    labels = {row["id"]: label for label, row in enumerate(annotations.categories, 1)}
    for index, row in enumerate(annotations.images):
        objects = [each for each in annotations.objects[index] if not each["iscrowd"]]
        boxes = torch.tensor([each["bbox"] for each in objects]).reshape(-1, 4)
        found = {
            "boxes": box_convert(boxes + jitter * torch.rand(boxes.shape, generator=random), "xywh", "xyxy"),
            "labels": torch.tensor([labels[each["category_id"]] for each in objects], dtype=torch.int64),
            "scores": torch.rand(len(objects), generator=random),
        }
        if task == "segmentation":
            size = row["height"], row["width"]
            masks = [rasterise(each["segmentation"], size).float().roll(int(jitter), 1) for each in objects]
            found["masks"] = torch.stack(masks)[:, None] if masks else torch.zeros(0, 1, *size)
        if task == "keypoints":
            points = torch.tensor([each["keypoints"] for each in objects]).reshape(len(objects), 5, 3)
            found["keypoints"] = points + jitter * torch.rand(points.shape, generator=random)
        yield found, row["id"]


def evaluate(annotations, task, jitter):
    rows = [as_results(found, image, annotations.categories) for found, image in guesses(annotations, task, jitter)]
    results = [row for of_image in rows for row in of_image]
    return results, average_precision(annotations, results, task)


@pytest.mark.parametrize(
    ("task", "part", "kind"),
    [("detection", "boxes", "bbox"), ("segmentation", "masks", "segm"), ("keypoints", "keypoints", "keypoints")],
)
def test_precision_equals_pycocotools_on_the_files(coco, tmp_path, task, part, kind):
    annotations = open_annotations(coco, "val", task)
    results, precision = evaluate(annotations, task, jitter=3.0)
    (tmp_path / "detections.json").write_text(json.dumps(results))
    with redirect_stdout(StringIO()):
        truth = COCO(str(annotations.file))
        written = [{k: v for k, v in row.items() if kind == "bbox" or k != "bbox"} for row in results]
        (tmp_path / "detections.json").write_text(json.dumps(written))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "detections.json")), kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.full(5, 0.05)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = precision[part]
    assert [found.ap, found.ap50, found.ap75] == pytest.approx(100 * evaluation.stats[:3], abs=1e-3)
    assert 1 < found.ap < 99


@pytest.mark.parametrize("task", ["detection", "segmentation", "keypoints"])
def test_ground_truth_scores_100_and_no_detections_score_0(coco, task):
    annotations = open_annotations(coco, "val", task)
    for found in evaluate(annotations, task, jitter=0.0)[1].values():
        assert (found.ap, found.ap50, found.ap75) == (100, 100, 100)
    for found in average_precision(annotations, [], task).values():
        assert (found.ap, found.ap50, found.ap75) == (0, 0, 0)


def test_an_object_with_id_0_counts_like_any_other(coco, change):
    def renumber(content):
        for number, each in enumerate(content["annotations"]):
            each["id"] = number

    change("instances_val2017.json", renumber)
    annotations = open_annotations(coco, "val", "detection")
    assert evaluate(annotations, "detection", jitter=0.0)[1]["boxes"].ap == 100


def test_with_crowds_alone_there_is_no_precision(coco, change):
    change("instances_val2017.json", lambda content: [each.update(iscrowd=1) for each in content["annotations"]])
    annotations = open_annotations(coco, "val", "detection")
    found = average_precision(annotations, [], "detection")["boxes"]
    assert (found.ap, str(found)) == (None, "AP –  AP50 –  AP75 –")
