"""The small data set in COCO's layout agrees with its scenes, and pycocotools reads it."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from uota.data.demo.coco_scenes import KEYPOINTS, category_of, polygons, run_lengths, write_coco_scenes
from uota.data.demo.scenes import open_scenes
from uota.errors import UotaError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco") / "scenes"
    write_coco_scenes(folder, 50, 25)
    return folder


def read(file):
    with redirect_stdout(StringIO()):
        return COCO(str(file))


def test_masks_boxes_and_categories_agree_with_the_scenes(folder):
    truth, scenes = read(folder / "annotations/instances_train2017.json"), open_scenes("train")
    forms = set()
    for image in truth.getImgIds():
        objects = truth.loadAnns(truth.getAnnIds(image))
        for place, each in enumerate(objects):
            silhouette = (scenes.ink[image - 1, place] >= 32).numpy()
            assert np.array_equal(truth.annToMask(each), silhouette)
            assert each["bbox"] == coco_mask.toBbox(truth.annToRLE(each)).tolist()
            assert each["area"] == silhouette.sum()
            assert each["category_id"] == category_of(int(scenes.kinds[image - 1, place]))
            forms.add((type(each["segmentation"]), each["iscrowd"]))
        assert bool(objects) == (image % 25 != 0)
    assert forms == {(list, 0), (dict, 0), (dict, 1)}
    assert [row["name"] for row in truth.loadCats(truth.getCatIds())] == scenes.classes


def test_images_agree_with_the_scenes_and_empty_ones_are_black(folder):
    scenes = open_scenes("test")
    for image in (1, 25):
        with Image.open(folder / f"val2017/{image:012}.jpg") as opened:
            pixels = np.asarray(opened).astype(int)
        scene = scenes.pixels[image - 1, 0].numpy() if image == 1 else np.zeros((56, 56), int)
        assert np.abs(pixels - scene).mean() < 3


def test_keypoints_are_the_extremes_and_the_centre_of_the_silhouette(folder):
    truth = read(folder / "annotations/person_keypoints_val2017.json")
    (garment,) = truth.loadCats(truth.getCatIds())
    assert garment["keypoints"] == list(KEYPOINTS)
    for each in truth.anns.values():
        points = np.array(each["keypoints"]).reshape(-1, 3)
        assert each["num_keypoints"] == (points[:, 2] > 0).sum() == (0 if each["iscrowd"] else 5)
        if not each["iscrowd"]:
            left, top, width, height = each["bbox"]
            named = dict(zip(KEYPOINTS, points[:, :2], strict=True))
            assert named["left"][0] == left + 0.5
            assert named["right"][0] == left + width - 0.5
            assert named["top"][1] == top + 0.5
            assert named["bottom"][1] == top + height - 0.5
            rows, columns = np.nonzero(truth.annToMask(each))
            assert named["centre"] == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5), abs=0.01)


def test_polygons_and_run_lengths_of_random_masks():
    random = np.random.default_rng(0)
    for _ in range(20):
        mask = random.random((9, 7)) < 0.5
        lengths = {"size": [9, 7], "counts": run_lengths(mask)}
        assert np.array_equal(coco_mask.decode(coco_mask.frPyObjects(lengths, 9, 7)), mask)
    ring = np.ones((5, 5), dtype=bool)
    assert len(polygons(ring)) == 1
    ring[2, 2] = False
    assert polygons(ring) is None


def test_invalid_folders_and_counts_are_refused(folder, tmp_path):
    before = json.loads((folder / "annotations/instances_val2017.json").read_text())
    with pytest.raises(UotaError, match="not empty"):
        write_coco_scenes(folder)
    assert json.loads((folder / "annotations/instances_val2017.json").read_text()) == before
    with pytest.raises(UotaError, match="2000"):
        write_coco_scenes(tmp_path / "new", 1, 2001)
