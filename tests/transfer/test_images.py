import os

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from uota.data import FolderOptions
from uota.data.files.decode import read_image
from uota.errors import UotaError
from uota.transfer.annotations import open_annotations
from uota.transfer.images import CocoImages, TrainingImages, mirror, mirrored_keypoints

PERSON = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]


def training(coco, task, seed=0):
    return TrainingImages(CocoImages(open_annotations(coco, "train", task), 1), task, seed)


def test_a_transient_file_system_error_is_retried(coco, monkeypatch):
    calls = []

    def read(path, *args, **settings):
        calls.append(settings)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        return read_image(path, *args, **settings)

    monkeypatch.setattr("uota.transfer.images.read_image", read)
    options = FolderOptions(pixel_range=(0, 255), image_megabytes=9)
    images = CocoImages(open_annotations(coco, "train", "detection"), 1, options)
    assert images[0][1] is not None
    assert calls == 2 * [{"pixel_range": (0, 255), "megabytes": 9}]
    monkeypatch.setattr("uota.transfer.images.read_image", lambda *_, **__: os.stat("/no/such/file"))
    with pytest.raises(UotaError, match="make its disk available again"):
        images[1]


def test_targets_equal_pycocotools(coco):
    data, truth = training(coco, "segmentation"), COCO(str(coco / "annotations/instances_train2017.json"))
    labels = {number: label for label, number in enumerate(truth.getCatIds(), 1)}
    for place in (0, 15):
        row = data.images.annotations.images[data.useful[place]]
        objects = truth.loadAnns(truth.getAnnIds(row["id"], iscrowd=False))
        target = data.target(data.useful[place])
        left, top, width, height = np.array([each["bbox"] for each in objects], dtype=np.float32).T
        assert np.array_equal(target["boxes"].T, [left, top, left + width, top + height])
        assert target["labels"].tolist() == [labels[each["category_id"]] for each in objects]
        assert np.array_equal(target["masks"], [truth.annToMask(each) for each in objects])


def test_empty_images_are_not_trained_on_and_crowds_are_no_targets(coco):
    data = training(coco, "detection")
    assert len(data) == 47
    assert 24 not in data.useful
    assert len(data.target(15)["boxes"]) == 1
    crowded = training(coco, "keypoints")
    assert crowded.target(0)["keypoints"].shape == (2, 5, 3)


def test_half_of_the_images_are_mirrored_by_seed_and_epoch(coco):
    data, again, other = (training(coco, "detection", seed) for seed in (0, 0, 1))
    first = [data[0, place][0] for place in range(40)]
    assert all(torch.equal(image, again[0, place][0]) for place, image in enumerate(first))
    plain = [data.images[data.useful[place]][1] for place in range(40)]
    flips = [not torch.equal(image, whole) for image, whole in zip(first, plain, strict=True)]
    assert 10 < sum(flips) < 30
    assert all(
        torch.equal(image.flip(-1), whole) for image, whole, flip in zip(first, plain, flips, strict=True) if flip
    )
    for changed in ([data[1, place][0] for place in range(40)], [other[0, place][0] for place in range(40)]):
        assert not all(torch.equal(image, twin) for image, twin in zip(first, changed, strict=True))


def test_mirroring_moves_all_targets_and_swaps_left_and_right(coco):
    data = training(coco, "keypoints")
    image, target = data.images[0][1], data.target(0)
    target["masks"] = torch.zeros(len(target["boxes"]), 56, 56, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(target["masks"], target["boxes"].int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    target["keypoints"][0, 4, 2] = 0  # not labelled
    flipped, new = mirror(image, target, data.mirrored)
    assert torch.equal(flipped, image.flip(2))
    for mask, (left, top, right, bottom) in zip(new["masks"], new["boxes"].int().tolist(), strict=True):
        assert mask.sum() == mask[top:bottom, left:right].sum() == (bottom - top) * (right - left)
    points = new["keypoints"][1]
    assert points[0, 0] == new["boxes"][1, 0] + 0.5  # the left end is at the left again
    assert points[1, 0] == new["boxes"][1, 2] - 0.5
    assert torch.equal(new["keypoints"][0, 4], target["keypoints"][0, 4])
    back = mirror(flipped, new, data.mirrored)[1]
    assert all(torch.allclose(back[name], target[name]) for name in target)


def test_mirrored_keypoints_of_a_person():
    assert mirrored_keypoints(PERSON) == [0, 2, 1, 4, 3, 6, 5, 7]  # the list has no right elbow


def test_unreadable_images_are_skipped_and_named(coco):
    broken = coco / "train2017/000000000001.jpg"
    broken.write_bytes(broken.read_bytes()[:100])
    Image.new("L", (20, 56)).save(coco / "train2017/000000000002.jpg")
    data = training(coco, "detection")
    third = data.images[2][1]
    for place in (0, 1):
        image = data[0, place][0]
        assert torch.equal(image, third) or torch.equal(image.flip(-1), third)
    assert data.images[0] == (0, None)
    assert "000000000001.jpg, 000000000002.jpg" in data.images.skipped
    for file in (coco / "train2017").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UotaError, match="still there"):
        data[0, 5]


def test_a_part_with_crowds_alone_is_refused(coco, change):
    change("instances_train2017.json", lambda content: [each.update(iscrowd=1) for each in content["annotations"]])
    with pytest.raises(UotaError, match="crowds"):
        training(coco, "detection")


def test_keypoints_are_at_the_centres_of_their_pixels(coco):
    """Published heads add 0.5 before mirroring: pixel 3 of 56 becomes 52.5, the centre of pixel 52."""
    images = CocoImages(open_annotations(coco, "train", "keypoints"), 1)
    width = images[0][1].shape[-1]
    plain, centred = (TrainingImages(images, "keypoints", 0, centre) for centre in (0.0, 0.5))
    differences = set()
    for place in range(len(plain)):
        for target, other in zip(*(each[(0, place)][1]["keypoints"] for each in (plain, centred)), strict=True):
            seen = target[:, 2] > 0
            differences |= {tuple(row) for row in (other - target)[seen].round(decimals=4).tolist()}
    assert width == 56
    assert differences == {(0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)}  # plain and mirrored
