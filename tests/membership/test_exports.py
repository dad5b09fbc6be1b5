"""Exports: what FiftyOne and LightlyStudio read, as their documentation shows it."""

import json
import os

import pytest
import torch
from PIL import Image

from uota.errors import UotaError
from uota.membership.choice import Choice
from uota.membership.exports import write_fiftyone, write_lightly_studio
from uota.membership.result import Misfiled
from uota.membership.verdicts import GroupVerdicts, MemberVerdicts


@pytest.fixture
def folder(tmp_path):
    for group, name, size in (("cät", "=1.png", (8, 6)), ("cät", "2.png", (5, 9)), ("dog", "3.png", (4, 4))):
        (tmp_path / group).mkdir(exist_ok=True)
        Image.new("RGB", size).save(tmp_path / group / name)
    return tmp_path


def found(ids=("cät/=1.png", "cät/2.png", "dog/3.png"), probability=(0.25, 0.875, 0.5)):
    members = MemberVerdicts(
        group=torch.tensor([0, 0, 1]),
        probability=torch.tensor(probability),
        fdr=torch.tensor([0.375, 0.125, 0.25]),
        score=torch.zeros(3),
        fits=torch.tensor([1, 1, 0]),
        fits_probability=torch.tensor([0.5, 0.75, 1.0]),
        nearest_own=torch.tensor([1, 0, -1]),
        nearest_other=torch.tensor([2, 2, 0]),
        share=0.5,
        interval=(0.25, 0.75),
        choice=object.__new__(Choice),
    )
    groups = GroupVerdicts(
        torch.tensor([2, 1]), torch.zeros(2), torch.zeros(3, dtype=torch.int64), torch.tensor([1, 0]), torch.zeros(2)
    )
    return Misfiled(ids, ("cät", "dog"), members, groups)


def test_fiftyone_gets_the_group_with_confidence_and_attributes_worst_first(folder):
    write_fiftyone(found(), folder, folder / "labels.json")
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    assert list(labels) == ["labels"]
    assert list(labels["labels"]) == [str(folder / name) for name in ("cät/2.png", "dog/3.png", "cät/=1.png")]
    assert labels["labels"][str(folder / "cät" / "2.png")] == {
        "label": "cät",
        "confidence": 0.125,
        "attributes": {"probability": 0.875, "fdr": 0.125, "fits_better": "dog", "fits_probability": 0.75},
    }


def test_fiftyone_gets_absolute_paths_of_a_relative_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    write_fiftyone(found(), folder.relative_to(folder.parent), folder / "labels.json")
    assert all(os.path.isfile(path) for path in json.loads((folder / "labels.json").read_text())["labels"])


def test_lightly_studio_gets_boxes_around_whole_images(folder):
    write_lightly_studio(found(), folder, folder / "out")
    groups, fits = (json.loads((folder / "out" / name).read_text()) for name in ("groups.json", "fits_better.json"))
    assert groups["categories"] == fits["categories"] == [{"id": 0, "name": "cät"}, {"id": 1, "name": "dog"}]
    assert groups["images"] == fits["images"]
    assert groups["images"][0] == {"id": 1, "file_name": "cät/2.png", "width": 5, "height": 9}
    first = {"id": 0, "image_id": 1, "bbox": [0, 0, 5, 9], "area": 45, "iscrowd": 0}
    assert groups["annotations"][0] == {**first, "category_id": 0, "score": 0.125}
    assert fits["annotations"][0] == {**first, "category_id": 1, "score": 0.875 * 0.75}
    assert [box["image_id"] for box in fits["annotations"]] == [1, 2, 0]


def test_labelformat_reads_what_lightly_studio_gets(folder):
    labelformat = pytest.importorskip("labelformat.formats.coco")
    write_lightly_studio(found(), folder, folder / "out")
    labels = list(labelformat.COCOObjectDetectionInput(folder / "out" / "fits_better.json").get_labels())
    assert [(label.image.filename, label.objects[0].category.name) for label in labels] == [
        ("cät/2.png", "dog"),
        ("dog/3.png", "cät"),
        ("cät/=1.png", "dog"),
    ]
    assert [label.objects[0].confidence for label in labels] == [0.65625, 0.5, 0.125]
    assert labels[0].objects[0].box.xmax == 5


def test_what_cannot_be_read_is_left_out_and_named(folder, caplog):
    (folder / "cät" / "2.png").write_bytes(b"no image")
    ids = ("cät/=1.png", "cät/2.png", os.fsdecode(b"dog/\xff.png"))
    write_lightly_studio(found(ids), folder, folder / "out")
    assert [image["id"] for image in json.loads((folder / "out" / "groups.json").read_text())["images"]] == [0]
    assert "1 files whose names are not in UTF-8 are left out" in caplog.text
    assert "1 files that cannot be read as images are left out" in caplog.text


def test_numbers_that_json_cannot_have_are_refused(folder):
    with pytest.raises(UotaError, match="a verdict is not a finite number"):
        write_fiftyone(found(probability=(float("nan"), 0.5, 0.5)), folder, folder / "labels.json")
    assert not (folder / "labels.json").exists()
