"""Folders of groups: several images of each thing."""

import pickle

import pytest
import torch

from uota import UotaError
from uota.data import Groups, Source, open_groups, warn_left_out
from uota.data.files.decode import read_image


@pytest.fixture
def things(write, tmp_path):
    """Ten things of two classes with two to four images each, one with a single image, and one image beside them."""
    for thing in range(10):
        for number in range(2 + thing % 3):
            write(f"{'ab'[thing % 2]}/thing{thing}/{number}.png", seed=10 * thing + number)
    write("a/lonely/0.png", seed=900)
    write("a/cover.png", seed=901)
    return tmp_path


def names(groups):
    return [
        {groups.files.path(index).relative_to(groups.name).as_posix() for index in group} for group in groups.members
    ]


def test_each_lowest_folder_is_a_group(things):
    groups = open_groups(things, "all")
    assert isinstance(groups, Source)
    assert (len(groups), groups.channels, groups.name) == (10, 3, str(things))
    assert [len(group) for group in groups.members] == [2 + thing % 3 for thing in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]
    assert all(len({name.rpartition("/")[0] for name in group}) == 1 for group in names(groups))
    assert sorted(index for group in groups.members for index in group) == list(range(len(groups.files)))
    assert groups.classes == ["a", "b"]
    assert groups.labels.tolist() == [0] * 5 + [1] * 5
    last = len(groups.files) - 1
    assert torch.equal(groups.images([last])[0], read_image(groups.files.path(last)))
    assert groups.truth(torch.arange(2), torch.zeros(6, 2, 4)) is None
    assert groups.skipped == []


def test_images_that_are_alone_or_beside_folders_are_left_out_and_named(things, capsys):
    groups = open_groups(things)
    warn_left_out(groups)
    named = "are alone or beside folders, and left out: a/cover.png, a/lonely/0.png"
    assert capsys.readouterr().out == f"2 image(s) of {things} {named}\n"
    warn_left_out(groups, at_most=1)
    assert capsys.readouterr().out.endswith("left out: a/cover.png and 1 more\n")
    warn_left_out(Groups(groups.files, groups.members))
    warn_left_out(groups.files)
    assert capsys.readouterr().out == ""


def test_a_fifth_of_the_groups_of_each_class_is_the_test_split(things):
    train, test = (open_groups(things, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 2)
    assert train.labels.tolist() == [0] * 4 + [1] * 4
    assert test.labels.tolist() == [0, 1]
    folders = [{name.rpartition("/")[0] for group in names(groups) for name in group} for groups in (train, test)]
    assert not folders[0] & folders[1]
    assert test.files.labels.tolist() == [label for label in (0, 1) for _ in test.members[label]]


def test_groups_without_classes_have_no_labels_and_are_all_in_both_splits(write, tmp_path):
    for thing in range(3):
        write(f"{thing}/0.png"), write(f"{thing}/1.png")
    train, test = (open_groups(tmp_path, split) for split in ("train", "test"))
    assert names(train) == names(test)
    assert len(train) == 3
    assert train.labels is None
    assert train.files.labels is None


def test_splits_may_be_folders(write, tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for thing in range(count):
            for kind in "ab":
                write(f"{split}/{kind}/{thing}/0.png"), write(f"{split}/{kind}/{thing}/1.png")
    assert [len(open_groups(tmp_path, split)) for split in ("train", "test", "all")] == [6, 4, 10]
    assert open_groups(tmp_path).labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_all_groups_have_the_labels_of_their_splits(write, tmp_path):
    for thing in ("train/a/1", "train/b/2", "test/a/1", "test/c/3", "alone"):
        write(f"{thing}/0.png"), write(f"{thing}/1.png")
    groups = open_groups(tmp_path, "all")
    assert [groups.display_name(index) for index in range(5)] == [
        "alone",
        "test/a/1",
        "test/c/3",
        "train/a/1",
        "train/b/2",
    ]
    assert (groups.classes, groups.labels.tolist()) == (["a", "b", "c"], [-1, 0, 2, 0, 1])
    assert groups.files.labels.tolist() == [-1, -1, 0, 0, 2, 2, 0, 0, 1, 1]


def test_a_group_beside_the_folders_of_classes_has_no_label(write, tmp_path):
    for thing in ("a/1", "b/2", "alone"):
        write(f"{thing}/0.png"), write(f"{thing}/1.png")
    for split in ("train", "all"):
        groups = open_groups(tmp_path, split)
        assert (groups.classes, groups.labels.tolist()) == (["a", "b"], [0, -1, 1])


def test_a_damaged_image_is_replaced_by_one_of_its_group(things):
    groups = open_groups(things, "all")
    last = groups.members[3][-1]
    path = groups.files.path(last)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    image = groups.images([last])[0]
    assert any(torch.equal(image, read_image(groups.files.path(index))) for index in groups.members[3][:-1])
    assert groups.skipped == [path]


@pytest.mark.parametrize(
    "files", [["0.png", "1.png"], ["a/0.png", "b/0.png"], ["a/0.png", "a/1.png", "b/0.png"], ["a/0.png", "a/b/0.png"]]
)
def test_fewer_than_two_groups_are_refused_with_the_remedy(write, tmp_path, files):
    for file in files:
        write(file)
    with pytest.raises(UotaError, match="a sub-folder for each thing, and in each at least two images"):
        open_groups(tmp_path)


def test_too_few_groups_of_every_class_for_a_test_split(write, tmp_path):
    for kind in "ab":
        for thing in "cd":
            write(f"{kind}/{thing}/0.png"), write(f"{kind}/{thing}/1.png")
    assert len(open_groups(tmp_path)) == 4
    with pytest.raises(UotaError, match="at least 3 groups"):
        open_groups(tmp_path, "test")


@pytest.mark.parametrize("name", ["demo", "demo-scenes"])
def test_embedded_images_have_no_groups(name):
    with pytest.raises(UotaError, match=f"{name} has no groups; give a folder"):
        open_groups(name)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UotaError, match="no folder"):
        open_groups(tmp_path / "nowhere")


def test_groups_can_be_sent_to_other_processes(things):
    groups = open_groups(things)
    other = pickle.loads(pickle.dumps(groups))
    assert other.members == groups.members
    assert all(torch.equal(*pair) for pair in zip(groups.images([0, 5]), other.images([0, 5]), strict=True))
