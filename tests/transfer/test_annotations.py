"""Faults in annotation files are reported once, at the start; everything sound is kept."""

import math
import re

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from uota.errors import UotaError
from uota.transfer.annotations import open_annotations, open_both
from uota.transfer.objects import decode_run_lengths

TRAIN = "instances_train2017.json"


def objects(annotations):
    return [each for index in range(len(annotations.objects)) for each in annotations.objects[index]]


def test_a_sound_file_is_kept_whole(coco):
    found = open_annotations(coco, "train", "segmentation")
    assert (len(found.images), len(objects(found)), found.remarks) == (48, 94, {})
    assert sorted(each["id"] for each in objects(found)) == list(range(1, 95))
    assert sum(each["iscrowd"] for each in objects(found)) == 3


FAULTS = [
    ({"image_id": 10**6}, "of images that are not listed"),
    ({"image_id": None}, "of images that are not listed"),
    ({"category_id": 90}, "of categories that are not listed"),
    ({"bbox": None}, "without a box"),
    ({"bbox": [1, 2, 3]}, "without a box"),
    ({"bbox": [1, 2, 3, math.nan]}, "without a box"),
    ({"bbox": [1, 2, "three", 4]}, "without a box"),
    ({"bbox": [1, 2, 0, 4]}, "with an empty box"),
    ({"bbox": [1, 2, 5, -4]}, "with an empty box"),
    ({"bbox": [56, 2, 5, 4]}, "with a box outside its image"),
    ({"bbox": [1, -9, 5, 4]}, "with a box outside its image"),
    ({"segmentation": []}, "without a mask"),
    ({"segmentation": [[1, 2, 3, 4]]}, "with a broken polygon"),
    ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "with a broken polygon"),
    ({"segmentation": [[1, 2, 3, 4, 1e9, 6]]}, "with a broken polygon"),
    ({"segmentation": {"size": [56, 56], "counts": [5, 6]}}, "with broken run lengths"),
    ({"segmentation": {"size": [56, 55], "counts": [56 * 55]}}, "with broken run lengths"),
    ({"segmentation": {"size": [56, 56], "counts": [56 * 56 + 9, -9]}}, "with broken run lengths"),
    ({"segmentation": {"size": [56, 56], "counts": "PPYo0"}}, "with broken run lengths"),
]


@pytest.mark.parametrize(("changes", "reason"), FAULTS)
def test_an_object_at_fault_is_left_out_and_counted(coco, change, changes, reason):
    change(TRAIN, lambda content: content["annotations"][0].update(changes))
    found = open_annotations(coco, "train", "segmentation")
    assert len(objects(found)) == 93
    ((remark, count),) = found.remarks.items()
    assert remark.startswith(f"objects {reason}")
    assert remark.endswith("left out")
    assert count == 1
    assert f"1 {remark}" in str(found)


def test_annotations_that_are_not_objects_are_left_out(coco, change):
    change(TRAIN, lambda content: content["annotations"].extend([None, 3, []]))
    assert dict(open_annotations(coco, "train", "detection").remarks) == {
        "objects that are not JSON objects, left out": 3
    }


def test_masks_do_not_matter_for_boxes(coco, change):
    change(TRAIN, lambda content: [each.pop("segmentation") for each in content["annotations"]])
    assert len(objects(open_annotations(coco, "train", "detection"))) == 94
    with pytest.raises(UotaError, match="another task"):
        open_annotations(coco, "train", "segmentation")


def test_missing_areas_and_boxes_over_the_border_are_corrected(coco, change):
    def spoil(content):
        content["annotations"][0].update(bbox=[50, 50, 20, 20])
        del content["annotations"][1]["area"], content["annotations"][1]["iscrowd"]

    change(TRAIN, spoil)
    found = open_annotations(coco, "train", "detection")
    assert len(objects(found)) == 94
    assert sorted(found.remarks.values()) == [1, 1]
    _, _, width, height = objects(found)[1]["bbox"]
    assert objects(found)[1]["area"] == width * height


def test_missing_images_are_left_out_with_their_objects(coco):
    (coco / "train2017/000000000001.jpg").unlink()
    (coco / "train2017/000000000002.jpg").unlink()
    found = open_annotations(coco, "train", "detection")
    assert [row["id"] for row in found.images] == list(range(3, 49))
    assert len(objects(found)) == 90
    ((remark, count),) = found.remarks.items()
    assert re.search(r"not in .*train2017 \(such as 000000000001.jpg\)", remark)
    assert count == 2


def test_images_listed_twice_or_without_a_size_are_left_out(coco, change):
    def spoil(content):
        content["images"] += [content["images"][0], {"id": 99, "file_name": "000000000001.jpg"}]

    change(TRAIN, spoil)
    found = open_annotations(coco, "train", "detection")
    assert (len(found.images), sum(found.remarks.values())) == (48, 2)


def assert_refused(coco, message, part="train", task="detection"):
    with pytest.raises(UotaError, match=message):
        open_annotations(coco, part, task)


def test_files_that_are_not_annotations_are_refused(coco, change):
    file = coco / "annotations" / TRAIN
    file.write_bytes(file.read_bytes()[:500])
    assert_refused(coco, "download it again")
    file.write_text("[]")
    assert_refused(coco, "no list of images, annotations, categories")
    file.unlink()
    assert_refused(coco, r"COCO's layout is train2017/, val2017/ and annotations/")
    assert_refused(coco / "nowhere", "there is no folder")


def test_files_of_another_task_are_refused(coco, change):
    instances = (coco / "annotations" / TRAIN).read_text()
    (coco / "annotations/person_keypoints_train2017.json").write_text(instances)
    assert_refused(coco, "name no keypoints", task="keypoints")
    change(TRAIN, lambda content: content.pop("categories"))  # caption files have none
    assert_refused(coco, "no list of categories")
    change(TRAIN, lambda content: content.update(categories=[]))
    assert_refused(coco, "another task")


def test_nothing_usable_is_refused(coco, change):
    change(TRAIN, lambda content: [each.update(category_id=77) for each in content["annotations"]])
    assert_refused(coco, "nothing for detection: 94 objects of categories that are not listed")
    change(TRAIN, lambda content: [each.update(file_name="none.jpg") for each in content["images"]])
    assert_refused(coco, r"none of the 48 .* can be used: 48 images that are listed but not in .* \(such as none.jpg\)")


def test_objects_with_another_number_of_keypoints_are_left_out(coco, change):
    change("person_keypoints_val2017.json", lambda content: content["annotations"][0].update(keypoints=[1, 2, 2]))
    found = open_annotations(coco, "val", "keypoints")
    assert dict(found.remarks) == {"objects without 5 keypoints of three numbers each, left out": 1}


def test_parts_of_different_data_sets_are_refused(coco, change):
    change("instances_val2017.json", lambda content: content["categories"][0].update(name="cat"))
    with pytest.raises(UotaError, match="different categories"):
        open_both(str(coco), "detection")


def test_compressed_run_lengths_are_decoded_as_in_pycocotools():
    random = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        mask = np.asfortranarray(random.random((40, 30)) < share, dtype=np.uint8)
        text = coco_mask.encode(mask)["counts"].decode()
        turns = np.flatnonzero(np.diff(np.concatenate([[0], mask.flatten(order="F"), [0]])))
        lengths = np.diff(np.concatenate([[0], turns, [mask.size]])).tolist()
        assert decode_run_lengths(text) == (lengths if lengths[-1] else lengths[:-1])
