"""Invalid annotations, labels and weights are refused or left out, so that no figure is wrong."""

import copy
import json
import os
import re
import shutil
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightly.utils.benchmarking.knn import knn_predict
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import normalize
from torchmetrics.functional.classification import multiclass_accuracy

from uota.commands.cli import main
from uota.data import labels_of
from uota.data.demo.coco_scenes import write_coco_scenes
from uota.data.memory import TensorSource
from uota.encoders.encoder import Encoder
from uota.encoders.weights import load_weights, read_weights
from uota.errors import UotaError
from uota.evaluation.evaluate import PROTOCOLS
from uota.evaluation.features import Features, encoder_features, top_k_accuracy
from uota.evaluation.knn import evaluate_knn
from uota.evaluation.labels import evaluated_images
from uota.evaluation.linear import evaluate_linear, hold_out
from uota.evaluation.subject import LabelledEncoder
from uota.losses import ViewWeights
from uota.methods.baselines import Supervised
from uota.methods.embedded import Step
from uota.runs.encoder import LoadedEncoder
from uota.runs.run import Run, load_part
from uota.settings.evaluation import SETTINGS, Finetune, LinearSGD
from uota.settings.pretrain import Pretrain
from uota.training.neighbours import Neighbours
from uota.training.resolve import resolve_auto
from uota.transfer.annotations import open_annotations, open_both
from uota.transfer.average_precision import as_results, average_precision
from uota.transfer.images import CocoImages, TrainingImages
from uota.views import PRESETS

FILE = "annotations/instances_train2017.json"
HUGE = 10**400


# --- COCO


@pytest.fixture(scope="module")
def sound_coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco") / "coco"
    write_coco_scenes(folder, 6, 3)
    return folder


@pytest.fixture
def coco(sound_coco, tmp_path):
    """Copy a small data set in the layout of COCO, which a test may change."""
    return shutil.copytree(sound_coco, tmp_path / "coco")


def rewrite(coco, do, file=FILE):
    content = json.loads((coco / file).read_text())
    do(content)
    (coco / file).write_text(json.dumps(content))
    return content


def objects(annotations):
    return [each for index in range(len(annotations.objects)) for each in annotations.objects[index]]


def each_of(kind, field, change):
    """Change a field of all images, annotations or categories."""

    def do(content):
        for row in content[kind]:
            row[field] = change(row[field])

    return do


def all_of(*changes):
    def do(content):
        for change in changes:
            change(content)

    return do


def as_text(value):
    return [as_text(each) for each in value] if isinstance(value, list) else str(value)


def masks_as_text(content):
    for row in content["annotations"]:
        mask = row["segmentation"]
        if isinstance(mask, list):
            row["segmentation"] = as_text(mask)
        else:
            mask["size"] = as_text(mask["size"])


def ids(change):
    return all_of(
        each_of("images", "id", change),
        each_of("annotations", "image_id", change),
        each_of("annotations", "category_id", change),
        each_of("categories", "id", change),
    )


UNUSUAL = {
    "ids as text": ids(str),
    "ids as floats": ids(float),
    "ids with leading zeros": ids(lambda number: f"{number:012}"),
    "ids with spaces": ids(lambda number: f" {number} "),
    "ids that are names": ids(lambda number: f"img_{number}"),
    "negative ids": ids(lambda number: -number),
    "images numbered by text, annotations by numbers": each_of("images", "id", lambda number: f"{number:06}"),
    "categories numbered by floats, annotations by text": all_of(
        each_of("categories", "id", float), each_of("annotations", "category_id", str)
    ),
    "sizes as floats": all_of(each_of("images", "height", float), each_of("images", "width", float)),
    "sizes as text": all_of(each_of("images", "height", str), each_of("images", "width", lambda side: f"{side}.0")),
    "iscrowd as text": each_of("annotations", "iscrowd", str),
    "iscrowd as booleans": each_of("annotations", "iscrowd", bool),
    "iscrowd as text of booleans": each_of("annotations", "iscrowd", lambda crowd: str(bool(crowd))),
    "iscrowd as floats": each_of("annotations", "iscrowd", float),
    "boxes as text": each_of("annotations", "bbox", as_text),
    "areas as text": each_of("annotations", "area", str),
    "masks as text": masks_as_text,
    "ids of annotations that are anything": each_of("annotations", "id", lambda number: [None, number]),
    "names of 5,000 characters": each_of("categories", "name", lambda name: 5000 * "n" + name),
    "names in other writing": each_of("categories", "name", lambda name: f"\u732b\u202e{name}\x1b[31m"),
    "fields that nobody knows": each_of("images", "license", lambda _: {"deep": [[[{}]]]}),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_but_valid_values_are_read(coco, change):
    sound = open_annotations(coco, "train", "segmentation")
    if change is UNUSUAL["fields that nobody knows"]:
        rewrite(coco, lambda content: [row.setdefault("license", 1) for row in content["images"]])
    given = rewrite(coco, change)
    found = open_annotations(coco, "train", "segmentation")
    assert found.remarks == {}
    assert "\x1b" not in str(found)
    kept = ("bbox", "area", "iscrowd", "segmentation")
    assert [[each[name] for name in kept] for each in objects(found)] == [
        [each[name] for name in kept] for each in objects(sound)
    ]
    results = [{"image_id": row["id"], "category_id": found.categories[0]["id"]} for row in found.images]
    assert [row["image_id"] for row in found.restore_ids(results)] == [row["id"] for row in given["images"]]
    assert found.restore_ids(results)[0]["category_id"] == given["categories"][0]["id"]


def test_a_byte_order_mark_is_accepted(coco):
    (coco / FILE).write_bytes(b"\xef\xbb\xbf" + (coco / FILE).read_bytes())
    assert open_annotations(coco, "train", "detection").remarks == {}


def test_text_ids_can_be_trained_on_and_evaluated(coco):
    for part in ("train", "val"):
        rewrite(coco, ids(lambda number: f"n{number}"), f"annotations/instances_{part}2017.json")
    rewrite(coco, lambda content: content["categories"].reverse(), "annotations/instances_val2017.json")
    train, val = open_both(str(coco), "detection")
    assert train.categories == val.categories  # a detector predicts positions in this list
    assert TrainingImages(CocoImages(train, 1), "detection", 0)[0, 0][1]["labels"].dtype == torch.int64
    found = []
    for index, row in enumerate(val.images):
        truth = val.objects[index]
        boxes = torch.tensor([each["bbox"] for each in truth]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        places = {kind["id"]: place for place, kind in enumerate(val.categories, 1)}
        labels = torch.tensor([places[each["category_id"]] for each in truth], dtype=torch.int64)
        seen = {"boxes": boxes, "labels": labels, "scores": torch.ones(len(truth))}
        found += as_results(seen, row["id"], val.categories)
    assert average_precision(val, found, "detection")["boxes"].ap50 == 100


AREAS = {"10^400": HUGE, "NaN": float("nan"), "infinite": float("inf"), "-1": -1, "0": 0, "true": True,
         "text": "big", "null": None, "a list": [3]}  # fmt: skip


@pytest.mark.parametrize("area", AREAS.values(), ids=AREAS.keys())
def test_an_invalid_area_is_replaced_by_that_of_the_box(coco, area):
    rewrite(coco, lambda content: content["annotations"][0].update(area=area))
    found = open_annotations(coco, "train", "detection")
    assert dict(found.remarks) == {"objects without an area, replaced by that of the box": 1}
    assert objects(found)[0]["area"] == np.prod(objects(found)[0]["bbox"][2:])


OBJECTS = {
    "a crowd of text": ({"iscrowd": "crowd"}, "neither 0 nor 1"),
    "a crowd of 2": ({"iscrowd": 2}, "neither 0 nor 1"),
    "a crowd of a list": ({"iscrowd": []}, "neither 0 nor 1"),
    "a box of 10^400": ({"bbox": [0, 0, HUGE, 5]}, "without a box"),
    "a box of booleans": ({"bbox": [True, True, True, True]}, "without a box"),
    "a box of text": ({"bbox": "0 0 5 5"}, "without a box"),
    "a box of underscores": ({"bbox": ["1_0", 0, 5, 5]}, "without a box"),
    "a box with a control character": ({"bbox": ["0\x1f", 0, 5, 5]}, "without a box"),
    "a box of other digits": ({"bbox": ["\u0663", 0, 5, 5]}, "without a box"),
    "a category with a control character": ({"category_id": "1\x1f"}, "of categories that are not listed"),
    "a box of nan as text": ({"bbox": ["nan", 0, 5, 5]}, "without a box"),
    "a box of lists": ({"bbox": [[0], [0], [5], [5]]}, "without a box"),
    "an image of a list": ({"image_id": [1]}, "of images that are not listed"),
    "an image of a boolean": ({"image_id": True}, "of images that are not listed"),
    "an image of 10^400": ({"image_id": HUGE}, "of images that are not listed"),
    "an image of half": ({"image_id": 1.5}, "of images that are not listed"),
    "a category of a mapping": ({"category_id": {}}, "of categories that are not listed"),
    "a mask of 10^400": ({"segmentation": [[0, 0, 5, HUGE, 5, 5]]}, "with a broken polygon"),
    "a mask of a number": ({"segmentation": 7}, "with broken run lengths"),
    "run lengths of no size": ({"segmentation": {"counts": [3136]}}, "with broken run lengths"),
    "run lengths of a nested size": ({"segmentation": {"size": [[56], 56], "counts": [1]}}, "with broken run lengths"),
    "run lengths of halves": ({"segmentation": {"size": [56, 56], "counts": [0.5]}}, "with broken run lengths"),
    "run lengths without end": ({"segmentation": {"size": [56, 56], "counts": "o" * 10**5}}, "with broken run lengths"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), OBJECTS.values(), ids=OBJECTS.keys())
def test_an_invalid_object_is_left_out_with_the_reason(coco, changes, reason):
    before = len(objects(open_annotations(coco, "train", "segmentation")))
    rewrite(coco, lambda content: content["annotations"][0].update(changes))
    found = open_annotations(coco, "train", "segmentation")
    ((said, count),) = found.remarks.items()
    assert (len(objects(found)), count) == (before - 1, 1)
    assert reason in said


def test_a_broken_polygon_among_others_is_reported(coco):
    def spoil(content):
        row = next(row for row in content["annotations"] if isinstance(row["segmentation"], list))
        row["segmentation"].append([1, 2, 3])

    rewrite(coco, spoil)
    assert dict(open_annotations(coco, "train", "segmentation").remarks) == {
        "objects with a broken polygon, of which the other polygons are kept": 1
    }


IMAGES = {
    "a name above": ({"file_name": "../secret.jpg"}, r"may point outside .*\(such as \.\./secret\.jpg\)"),
    "a name above within": ({"file_name": "a/../000000000001.jpg"}, "may point outside"),
    "an absolute name": ({"file_name": "/etc/passwd"}, "may point outside"),
    "a name on a drive": ({"file_name": "C:\\x.jpg"}, "may point outside"),
    "a name on a share": ({"file_name": "\\\\host\\share\\x.jpg"}, "may point outside"),
    "a name above in Windows": ({"file_name": "..\\x.jpg"}, "may point outside"),
    "a name that colours": ({"file_name": "\x1b[31mx.jpg"}, r"may point outside .*\(such as \\x1b\[31mx\.jpg\)"),
    "a name of two lines": ({"file_name": "a\nb.jpg"}, "may point outside"),
    "a name with a NUL": ({"file_name": "a\0b.jpg"}, "may point outside"),
    "a name that no file has": ({"file_name": "\ud800.jpg"}, "not in"),
    "a name of 5,000 characters": ({"file_name": 5000 * "n"}, r"not in .*\(such as n{80}…\)"),
    "an empty name": ({"file_name": ""}, "without a file_name"),
    "a name of a number": ({"file_name": 7}, "without a file_name"),
    "no name": ({"file_name": None}, "without a file_name"),
    "the folder itself": ({"file_name": "."}, "not regular files"),
    "a pipe": ({"file_name": "pipe.jpg"}, "not regular files"),
    "a link to a pipe": ({"file_name": "to_pipe.jpg"}, "not regular files"),
    "a link to a device": ({"file_name": "device.jpg"}, "not regular files"),
    "a link to itself": ({"file_name": "loop.jpg"}, "not in"),
    "a link to nothing": ({"file_name": "dangling.jpg"}, "not in"),
    "a height of 0": ({"height": 0}, "without a height and a width"),
    "a height of -5": ({"height": -5}, "without a height and a width"),
    "a height of a half": ({"height": 55.5}, "without a height and a width"),
    "a height of text": ({"height": "tall"}, "without a height and a width"),
    "a height of 10^12": ({"height": 10**12}, "without a height and a width"),
    "a height of 10^400": ({"height": HUGE}, "without a height and a width"),
    "a height of infinity": ({"height": float("inf")}, "without a height and a width"),
    "a height of true": ({"height": True}, "without a height and a width"),
    "no height": ({"height": None}, "without a height and a width"),
    "no id": ({"id": None}, "without an id"),
    "an id of a list": ({"id": [1]}, "without an id"),
    "an id of NaN": ({"id": float("nan")}, "without an id"),
    "an id of 10^400": ({"id": HUGE}, "without an id"),
    "an empty id": ({"id": " "}, "without an id"),
}


@pytest.mark.parametrize(("changes", "reason"), IMAGES.values(), ids=IMAGES.keys())
def test_an_unusable_image_is_left_out_with_the_reason(coco, changes, reason):
    folder = coco / "train2017"
    os.mkfifo(folder / "pipe.jpg")
    for name, target in [("to_pipe", "pipe.jpg"), ("device", "/dev/zero"), ("loop", "loop.jpg"), ("dangling", "none")]:
        (folder / f"{name}.jpg").symlink_to(target)
    rewrite(coco, lambda content: content["images"][0].update(changes))
    found = open_annotations(coco, "train", "detection")
    reasons = [said for said in found.remarks if not said.startswith("objects of images that are not listed")]
    assert len(found.images) == 5
    assert len(reasons) == 1
    assert re.search(reason, reasons[0])
    assert "\x1b" not in str(found)
    rewrite(coco, lambda content: content.update(images=content["images"][:1]))
    with pytest.raises(UotaError, match=f"none of the 1 .* can be used: 1 .*{reason}"):
        open_annotations(coco, "train", "detection")


def test_a_link_out_of_the_folder_is_followed(coco, tmp_path):
    image = coco / "train2017/000000000001.jpg"
    shutil.move(image, tmp_path / "elsewhere.jpg")
    image.symlink_to(tmp_path / "elsewhere.jpg")
    assert open_annotations(coco, "train", "detection").remarks == {}


FILES = {
    "nested deeply": ("[" * 100_000, "nested too deeply"),
    "of 5,000 digits": ('{"images": [' + 5000 * "9" + "]}", "not valid JSON"),
    "cut": ('{"images": [', "not valid JSON"),
    "empty": ("", "not valid JSON"),
    "of two documents": ("{} {}", "not valid JSON"),
    "null": ("null", "no list of images"),
    "a number": ("7", "no list of images"),
    "lists that are mappings": ('{"images": {}, "annotations": {}, "categories": {}}', "no list of images"),
    "in UTF-16": ("{}".encode("utf-16"), "not valid JSON"),
    "a picture": (b"\xff\xd8\xff\xe0", "not valid JSON"),
    "without an image": ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "it is empty"),
    "of nulls": ('{"images": [null], "annotations": [null], "categories": [null]}', "no categories"),
}


@pytest.mark.parametrize(("content", "says"), FILES.values(), ids=FILES.keys())
def test_a_file_without_annotations_is_refused(coco, content, says):
    (coco / FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UotaError, match=says):
        open_annotations(coco, "train", "detection")


@pytest.mark.parametrize("kind", ["nested deeply", "in UTF-16", "of nulls"])
def test_the_command_ends_in_a_clear_error_and_writes_nothing(coco, weights, kind, tmp_path, capsys):
    content, says = FILES[kind]
    (coco / FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = [str(weights), f"--coco={coco}", f"--out={tmp_path / 'out'}", "--accelerator=cpu"]
    assert main(["transfer", "detection", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_a_special_or_huge_file_is_not_read(coco, kind):
    file = coco / FILE
    file.unlink()
    if kind == "huge":
        with file.open("wb") as sparse:
            sparse.truncate(2**40)
    else:
        {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](file)
    with pytest.raises(UotaError, match="cannot be read"):
        open_annotations(coco, "train", "detection")


CATEGORIES = {
    "the same id twice": ([{"id": "1", "name": "a"}, {"id": 1, "name": "b"}], "two categories with the same id"),
    "no id": ([{"name": "a"}], "categories whose id is neither"),
    "an id of a list": ([{"id": [1], "name": "a"}], "categories whose id is neither"),
    "a name of a number": ([{"id": 1, "name": 7}], "no categories with an id and a name"),
    "text": (["a"], "no categories with an id and a name"),
}
KEYPOINTS = {"a number": 17, "text": "nose", "numbers": [1, 2], "a mapping": {"nose": 1}, "lists": [["nose"]]}


@pytest.mark.parametrize(("rows", "says"), CATEGORIES.values(), ids=CATEGORIES.keys())
def test_invalid_categories_are_refused(coco, rows, says):
    rewrite(coco, lambda content: content.update(categories=rows))
    with pytest.raises(UotaError, match=says):
        open_annotations(coco, "train", "detection")


@pytest.mark.parametrize("keypoints", KEYPOINTS.values(), ids=KEYPOINTS.keys())
def test_invalid_names_of_keypoints_are_refused(coco, keypoints):
    file = "annotations/person_keypoints_train2017.json"
    rewrite(coco, lambda content: content["categories"][0].update(keypoints=keypoints), file)
    with pytest.raises(UotaError, match="not lists of names"):
        open_annotations(coco, "train", "keypoints")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.just(HUGE) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def put_junk_somewhere(content, draw):
    """Replace a random value in JSON by a random other one."""
    while True:
        key = draw(st.sampled_from(sorted(content) if isinstance(content, dict) else range(len(content))))
        if isinstance(content[key], list | dict) and content[key] and draw(st.integers(0, 4)):
            content = content[key]
            continue
        content[key] = draw(JUNK)
        return


@pytest.mark.parametrize("task", ["detection", "segmentation", "keypoints"])
@given(data=st.data())
def test_random_nonsense_in_a_file_is_used_or_refused(sound_coco, task, data):
    kind = "person_keypoints" if task == "keypoints" else "instances"
    file = sound_coco / f"annotations/{kind}_train2017.json"
    sound = file.read_text()
    content = json.loads(sound)
    for _ in range(data.draw(st.integers(1, 5))):
        put_junk_somewhere(content, data.draw)
    try:
        file.write_text(json.dumps(content))
        with suppress(UotaError):
            found = open_annotations(sound_coco, "train", task)
            images = TrainingImages(CocoImages(found, 1), task, 0)
            assert all(images[0, place][0].shape[0] == 1 for place in range(len(images)))
            average_precision(found, [], task)
    finally:
        file.write_text(sound)


# --- labels


def source(labels, name="made", classes=None):
    random = torch.Generator().manual_seed(len(labels))
    pixels = torch.randint(0, 255, (len(labels), 1, 12, 12), generator=random, dtype=torch.uint8)
    return TensorSource(name, pixels, torch.tensor(labels), classes)


SHORT = {
    "linear": SETTINGS["linear"][0](),
    "knn": SETTINGS["knn"][0](),
    "linear-sgd": LinearSGD(epochs=1, batch_size=8, workers=0, accelerator="cpu"),
    "finetune": Finetune(labels="100%", epochs=1, batch_size=8, workers=0, accelerator="cpu"),
}
FOUR = [0, 1, 2, 3]
LABELS = {
    "some have none": ([0, 1, -1, -1] * 3, [0, 1, -1, 0]),
    "huge ones": ([10**15, 7, 2**62] * 4, [7, 10**15, 2**62]),
    "gaps": ([0, 1000, 999_999] * 4, [0, 1000, 999_999]),
    "all negative but two classes": ([-5, 3, 9, -(2**62)] * 3, [3, 9]),
    "the test has others": (FOUR * 3, [*FOUR, 9, 8]),
    "two images of a class": ([0, 0, 1, 1], [0, 1]),
    "one image of most classes": ([0, 0, 1, 2, 3, 4, 5], [0, 1, 2]),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("train", "test"), LABELS.values(), ids=LABELS.keys())
def test_every_protocol_accepts_incomplete_labels(protocol, train, test, tmp_path, monkeypatch):
    monkeypatch.setattr("uota.evaluation.fit.CSVLogger", lambda *_, **__: False)  # writing logs would take seconds
    torch.manual_seed(0)
    found = LoadedEncoder("untrained", Encoder("tiny", 1, 24).eval(), "tiny", PRESETS["small-grey"], None)
    train_part, test_part, _ = evaluated_images(source(train), source(test))
    assert len(train_part) == sum(label >= 0 for label in train)
    subject = LabelledEncoder(found, train_part, test_part, tmp_path)
    assert subject.classes == len({label for label in train if label >= 0})
    result = PROTOCOLS[protocol](subject, SHORT[protocol])
    asked = [label for label in test if label >= 0]
    can_hit = 100 * sum(label in train for label in asked) / len(asked)
    assert 0 <= result.top1 <= result.top5 <= can_hit + 1e-4


NOTES = {
    "some have none": ["6 of 12 training images of made have no label", "1 of 4 test images of made have no label"],
    "the test has others": ["2 test images of made have labels that no training image has (8, nine)"],
    "gaps": [],
}


@pytest.mark.parametrize("kind", NOTES)
def test_missing_labels_and_unseen_classes_are_reported(kind):
    train, test = LABELS[kind]
    classes = [*"abcdefgh", "8", "nine"] if kind == "the test has others" else None
    _, _, notes = evaluated_images(source(train), source(test, classes=classes))
    assert len(notes) == len(NOTES[kind])
    assert all(note.startswith(begins) for note, begins in zip(notes, NOTES[kind], strict=True))


REFUSED = {
    "one class": ([4] * 8, FOUR, "all training images of made have the same label"),
    "one class beside images without a label": ([4, -1] * 4, FOUR, "all training images of made have the same label"),
    "none in training": ([-1] * 8, FOUR, "has no labels"),
    "none in the test": (FOUR * 2, [-1] * 4, "has no labels"),
}


@pytest.mark.parametrize(("train", "test", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_useless_labels_are_refused_immediately(train, test, says):
    with pytest.raises(UotaError, match=says):
        evaluated_images(source(train), source(test))


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2, 3, 4, 5], [7, 10**15]], ids=["two", "six", "sparse"])
def test_one_image_of_each_class_is_too_few_to_hold_any_out(labels):
    features = Features(torch.randn(len(labels), 4), torch.tensor(labels))
    with pytest.raises(UotaError, match="no class has two of them"):
        evaluate_linear(features, features)
    assert evaluate_knn(features, features, k=1).top1 == 100


@pytest.mark.parametrize("counts", [(2, 1), (2, 2), (3, 1, 1), (50, 1), (4, 4), (2,) * 30, (100, 2, 1)], ids=str)
def test_every_class_is_fitted_whatever_is_held_out(counts):
    labels = torch.cat([torch.full((count,), 10**9 * place) for place, count in enumerate(counts)])
    fitted, held = hold_out(labels, seed=0)
    assert set(labels[fitted].tolist()) == set(labels.tolist())
    assert sorted([*fitted, *held]) == list(range(len(labels)))
    assert 1 <= len(held) <= max(0.21 * len(labels) + 1, len(labels) / 2)


def test_features_are_those_of_labelled_images():
    found = encoder_features(torch.nn.Flatten(), source([5, -1, 3, -1]), PRESETS["small-grey"])
    assert (len(found.x), found.labels.tolist()) == (2, [5, 3])


def test_accuracy_during_training_ignores_unlabelled_images():
    random = torch.Generator().manual_seed(0)
    features, labels = torch.randn(120, 8, generator=random), torch.randint(0, 3, (120,), generator=random)
    both, alone = Neighbours(), Neighbours()
    alone.add(features, 10**12 * labels)
    for x, y in zip(features.split(10), labels.split(10), strict=True):
        both.add(torch.cat([x, torch.full((5, 8), torch.nan)]), torch.cat([y, torch.full((5,), -1)]))
        both.add(torch.randn(3, 8), torch.full((3,), -1))
    assert both.top1() == alone.top1()


def test_labels_of_needs_a_labelled_image():
    assert labels_of(source([-1, 2])).tolist() == [-1, 2]
    with pytest.raises(UotaError, match="has no labels"):
        labels_of(source([-1, -1]))


CLASSES = {"a huge label": ([0, 10**15], {}, "number its classes from 0"),
           "fewer classes than labels": ([0, 1, 5], {"classes": 3}, "leave it out")}  # fmt: skip


@pytest.mark.parametrize(("labels", "options", "says"), CLASSES.values(), ids=CLASSES.keys())
def test_classes_that_cannot_be_learned_are_refused(labels, options, says):
    settings = Pretrain.from_flat(method="supervised", views="small-grey", method_options=options)
    with pytest.raises(UotaError, match=says):
        resolve_auto(settings, source(labels))


@pytest.mark.parametrize("labels", [[0, 1, 5], [-1, -1]], ids=["more classes", "no labels"])
def test_a_supervised_run_can_be_inspected_on_other_classes(labels):
    settings = Pretrain.from_flat(method="supervised", views="small-grey", method_options={"classes": 3})
    assert resolve_auto(settings, source(labels), trained=True).method.options == {"classes": 3}


def test_unlabelled_images_do_not_train_a_supervised_method():
    torch.manual_seed(0)
    method = Supervised(Encoder("tiny", 1, 24), classes=2)
    embedded = method.embed([torch.randn(1, 4, 1, 24, 24)], Step())
    weights = torch.ones(1, 4)
    some = method.loss(embedded, ViewWeights(weights, "predictor"), Step(labels=torch.tensor([0, 1, -1, -1])))
    labelled = ViewWeights(weights * torch.tensor([1.0, 1, 0, 0]), "predictor")
    half = method.loss(embedded, labelled, Step(labels=torch.tensor([0, 1, 0, 0])))
    torch.testing.assert_close(some, half)


# --- votes


def test_a_class_without_votes_is_not_predicted():
    train = Features(torch.eye(6), torch.arange(6))
    test = Features(torch.eye(6), torch.arange(6).roll(1))
    assert evaluate_knn(train, test, k=1).top5 == 0
    assert evaluate_knn(train, train, k=1).top5 == 100


@pytest.mark.parametrize("k", [1, 5, 20, 60])
def test_votes_equal_those_of_lightly(k):
    random = torch.Generator().manual_seed(k)
    x, y = torch.randn(60, 16, generator=random), torch.randint(0, 4, (60,), generator=random)
    queries, asked = torch.randn(40, 16, generator=random), torch.randint(0, 4, (40,), generator=random)
    ranking = knn_predict(normalize(queries, dim=1), normalize(x, dim=1).T, y, 4, k, 0.07)
    assert evaluate_knn(Features(x, y), Features(queries, asked), k).top1 == top_k_accuracy(ranking, asked, 1)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_top_k_accuracy_equals_torchmetrics(k, classes):
    random = torch.Generator().manual_seed(classes)
    scores, labels = torch.randn(50, classes, generator=random), torch.randint(0, classes, (50,), generator=random)
    ours = top_k_accuracy(scores.argsort(dim=1, descending=True), labels, k)
    theirs = multiclass_accuracy(scores, labels, classes, "micro", min(k, classes))
    assert ours == pytest.approx(100 * float(theirs))


def test_ties_in_votes_go_to_the_smaller_label():
    train = Features(torch.ones(4, 2), torch.tensor([9, 3, 9, 3]))
    asked = Features(torch.ones(2, 2), torch.tensor([3, 9]))
    found = evaluate_knn(train, asked, k=4)
    assert (found.top1, found.top5) == (50, 100)
    votes = torch.tensor([[2.0, 2.0], [2.0, 2.0]])
    assert float(multiclass_accuracy(votes, torch.tensor([0, 1]), 2, "micro")) == 0.5


# --- weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(5)
    file = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(Encoder("tiny", 1, 24).backbone.state_dict(), file)
    return file


TENSORS = ("stem.0.weight", "stages.3.conv1.weight", "stages.3.bn2.weight", "stages.3.bn2.running_mean")
VALUES = {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": -float("inf")}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_with_nan_or_infinity_are_refused(weights, name, value, ending, tmp_path):
    state = torch.load(weights)
    state[name].view(-1)[-1] = value
    file = tmp_path / f"broken.{ending}"
    save_file(state, file) if ending == "safetensors" else torch.save(state, file)
    with pytest.raises(UotaError, match=f"NaN or infinite values in 1 of .* such as {name}"):
        load_weights(Encoder("tiny", 1, 24).backbone, read_weights(file), file, "tiny")


ODD = {
    "sparse": lambda tensor: tensor.to_sparse(),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "without numbers": lambda tensor: tensor.to("meta"),
    "quantised": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_not_plain_tensors_are_refused(weights, make):
    state = torch.load(weights)
    state["stem.0.weight"] = make(state["stem.0.weight"])
    with pytest.raises(UotaError, match=r"not dense tensors of real numbers, such as stem\.0\.weight"):
        load_weights(Encoder("tiny", 1, 24).backbone, state, weights, "tiny")


@given(places=st.lists(st.integers(0, 10**6), min_size=1, max_size=4), byte=st.integers(0, 255), old=st.booleans())
def test_a_damaged_file_of_weights_is_read_or_refused(places, byte, old, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "damaged.pth"
    torch.save(torch.nn.BatchNorm2d(2).state_dict(), file, _use_new_zipfile_serialization=not old)
    content = bytearray(file.read_bytes())
    for place in places:
        content[place % len(content)] = byte
    file.write_bytes(content)
    with suppress(UotaError):
        assert read_weights(file)


def test_recursive_dictionaries_of_weights_are_refused(tmp_path):
    content = {}
    for _ in range(200):
        content = {"state_dict": content}
    torch.save(content, tmp_path / "deep.pth")
    with pytest.raises(UotaError, match="holds no tensors"):
        read_weights(tmp_path / "deep.pth")


def test_a_checkpoint_with_nan_or_infinity_is_refused(tmp_path):
    module = torch.nn.ModuleDict({"encoder": Encoder("tiny", 1, 24)})
    state = copy.deepcopy(module.state_dict())
    state["encoder.backbone.stem.0.weight"].fill_(torch.nan)
    torch.save({"state_dict": state, "epoch": 1, "global_step": 8}, tmp_path / "checkpoint.ckpt")
    (tmp_path / "settings.json").write_text(json.dumps(Pretrain().as_dict()))
    with pytest.raises(UotaError, match=r"NaN or infinite values in 1 of .* such as backbone.stem.0.weight"):
        load_part(module["encoder"], Run(tmp_path), "encoder")


@pytest.mark.parametrize("protocol", ["knn", "linear"])
def test_nan_weights_give_no_accuracy(weights, protocol, tmp_path, capsys):
    for number in range(8):
        place = tmp_path / "data" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), 9 * number).save(place / f"{number}.png")
    state = torch.load(weights)
    state["stem.0.weight"].fill_(torch.nan)
    torch.save(state, tmp_path / "nan.pth")
    arguments = [str(tmp_path / "nan.pth"), f"--data={tmp_path / 'data'}", f"--out={tmp_path / 'out'}"]
    assert main(["evaluate", protocol, *arguments]) == 2
    said = capsys.readouterr()
    assert "NaN or infinite values" in said.err
    assert "Traceback" not in said.err
    assert "top1" not in said.out
    assert not (tmp_path / "out").exists()


class ConstantEncoder(torch.nn.Module):
    """An encoder whose features of the last image all have one value."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images):
        features = torch.ones(len(images), 4)
        features[-1, 2] = self.value
        return features


@pytest.mark.parametrize("value", [*VALUES.values(), 1e30], ids=[*VALUES, "enormous"])
def test_features_with_nan_or_infinity_are_refused(value):
    with pytest.raises(UotaError, match="features of 1 of 4 images of made"):
        encoder_features(ConstantEncoder(value), source(FOUR), PRESETS["small-grey"])
