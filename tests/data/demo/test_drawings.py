"""Drawings of some 600 things by three studios: as images, as groups, and in splits."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from uota.data import open_groups, open_source
from uota.data.demo.drawings import INDEX, NAME
from uota.data.demo.embedded import FOLDER

CATEGORIES = ["activities", "animals & nature", "food & drink", "objects", "travel & places"]
SHEETS = ("noto.webp", "twemoji.webp", "fluent.webp")


@pytest.fixture(scope="module")
def index():
    return json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_labelled_with_categories_and_named(split):
    source = open_source(NAME, split)
    assert source.pixels.shape[1:] == (3, 64, 64)
    assert source.classes == CATEGORIES
    assert source.labels.bincount(minlength=5).gt(50).all()
    assert source.display_name(0).endswith(" (Noto)")
    assert source.display_name(2) == source.display_name(0).replace("Noto", "Fluent")


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_groups_are_the_drawings_of_one_thing(split):
    groups = open_groups(NAME, split)
    assert {len(members) for members in groups.members} == {3}
    assert sorted(file for members in groups.members for file in members) == list(range(len(groups.files)))
    for number, members in enumerate(groups.members):
        names = [f"{groups.display_name(number)} ({studio})" for studio in ("Noto", "Twemoji", "Fluent")]
        assert [groups.files.display_name(file) for file in members] == names
        assert groups.files.labels[list(members)].tolist() == [groups.labels[number]] * 3
    assert groups.classes == CATEGORIES


def test_an_apple_is_food_and_red_on_white(index):
    groups = open_groups(NAME, "all")
    apple = [groups.display_name(number) for number in range(len(groups))].index("apple")
    assert groups.classes[groups.labels[apple]] == "food & drink"
    assert index["things"][apple]["code_points"] == "1f34e"
    for image in groups.images(groups.members[apple]):
        red, green, blue = image[:, 40, 32].tolist()
        assert red > 150 > max(green, blue)
        assert image[:, 0, 0].tolist() == [255, 255, 255]


def test_splits_have_other_things_and_seven_tenths_of_each_category():
    train, test, every = (open_groups(NAME, split) for split in ("train", "test", "all"))
    names = [{groups.display_name(number) for number in range(len(groups))} for groups in (train, test, every)]
    assert not names[0] & names[1]
    assert names[0] | names[1] == names[2]
    torch.testing.assert_close(
        train.labels.bincount() / every.labels.bincount(), torch.full((5,), 0.7), atol=0.01, rtol=0
    )


def test_nothing_is_empty_or_embedded_twice(index):
    pixels = open_groups(NAME, "all").files.pixels
    assert 550 <= len(index["things"]) <= 700
    assert len(pixels) == 3 * len(index["things"])
    assert float(pixels.float().flatten(1).std(dim=1).min()) > 10
    assert len({image.tobytes() for image in pixels.numpy()}) == len(pixels)
    for key in ("name", "code_points"):
        assert len({thing[key] for thing in index["things"]}) == len(index["things"]), key


def test_images_are_those_of_the_sheets():
    pixels = open_groups(NAME, "all").files.pixels
    for studio, sheet in enumerate(SHEETS):
        with Image.open(FOLDER / sheet) as opened:
            thing_33 = np.asarray(opened)[64:128, 64:128]  # in rows of 32
        assert np.array_equal(pixels[3 * 33 + studio].permute(1, 2, 0).numpy(), thing_33)


def test_files_take_at_most_6_mb_and_include_the_licences(index):
    licences = [f"LICENSE-{studio['name'].lower()}" for studio in index["studios"]]
    assert [studio["sheet"] for studio in index["studios"]] == list(SHEETS)
    assert sum((FOLDER / name).stat().st_size for name in (*SHEETS, INDEX, *licences)) <= 6e6
    noto, twemoji, fluent = ((FOLDER / name).read_text(encoding="utf-8") for name in licences)
    assert "Apache License" in noto
    assert "END OF TERMS AND CONDITIONS" in noto
    for part in ("Twitter, Inc and other contributors", "https://creativecommons.org/licenses/by/4.0/", "Changes: "):
        assert part in twemoji
    assert "Copyright (c) Microsoft Corporation" in fluent
    assert "shall be included in all\ncopies" in fluent
