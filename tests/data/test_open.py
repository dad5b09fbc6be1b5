"""Opening of sources by name, folder or pattern, and messages about what cannot be opened."""

import doctest

import pytest

import uota.data.open as opening
from uota import UotaError
from uota.data import NAMES, Source, open_source
from uota.data.open import open_items


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_every_name_opens(name, split):
    source = open_source(name, split)
    assert isinstance(source, Source)
    assert source.name == name
    assert len(source) == len(source.labels)
    assert source.images([0, 1])[1].shape[0] == source.channels


@pytest.mark.parametrize("name", sorted(NAMES))
def test_all_images_of_a_name_are_those_of_both_splits(name):
    train, test, both = (open_source(name, split) for split in ("train", "test", "all"))
    assert len(both) == len(train) + len(test)
    for label in range(len(both.classes)):
        counts = [int((source.labels == label).sum()) for source in (train, test, both)]
        assert counts[0] + counts[1] == counts[2]


def test_items_of_any_views_are_opened_whole(write, tmp_path):
    for thing in range(4):
        for number in range(3):
            write(f"{'ab'[thing % 2]}/{thing}/{number}.png")
    groups, images = (open_items(str(tmp_path), views, "all") for views in ("groups", "small"))
    assert (len(groups), groups.unit) == (4, "group")
    assert (len(images), images.unit) == (12, "image")


def test_a_folder_is_a_source(write, tmp_path):
    write("a.png"), write("b.png")
    assert isinstance(open_source(tmp_path), Source)


def test_a_name_comes_before_a_folder_of_that_name(write, tmp_path, monkeypatch):
    write("demo/a.png"), write("demo/b.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_source("demo")) == 8000
    assert len(open_source("./demo")) == 2


def test_the_home_folder_is_found(write, tmp_path, monkeypatch):
    write("pictures/a.png"), write("pictures/b.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_source("~/pictures")) == 2


@pytest.mark.parametrize("name", ["imagenet", "/nowhere/at/all"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(UotaError, match=f"no folder {name}.*demo, demo-scenes"):
        open_source(name)


def test_a_file_is_refused_with_its_folder(write):
    with pytest.raises(UotaError, match="is a file; give its folder"):
        open_source(write("a.png"))


def test_an_empty_name(tmp_path):
    with pytest.raises(UotaError, match="no images are given"):
        open_source("")


def test_an_unknown_split():
    with pytest.raises(UotaError, match="choose train, test or all"):
        open_source("demo", "validation")


def test_the_examples_in_docstrings_hold():
    result = doctest.testmod(opening)
    assert result.attempted > 0
    assert result.failed == 0
