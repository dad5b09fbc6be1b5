"""Which labels and splits images get."""

from collections import Counter

import pytest

from uota import UotaError
from uota.data.files.listing import classes_of, list_split


def test_the_first_folder_is_the_class():
    assert classes_of(["b/1.png", "a/deep/2.png", "a/3.png"]) == ["a", "b"]
    assert classes_of(["1.png", "2.png"]) is None
    assert classes_of(["a/1.png", "2.png"]) is None
    assert classes_of(["a/1.png", "b/2.png", "3.png"]) == ["a", "b"]
    assert classes_of(["a/1.png", "b/2.png", "3.png", "4.png"]) is None
    assert classes_of(["a/1.png", "a/2.png"]) is None


def many(classes, each):
    return sorted(f"{name}/{number:03}.png" for name in classes for number in range(each))


def test_a_fifth_of_each_class_is_the_test_split(tmp_path):
    files = many("abc", 20) + many("d", 3)
    train, test = (list_split(tmp_path, files, split) for split in ("train", "test"))
    assert sorted(train.files + test.files) == sorted(files)
    assert Counter(test.labels()) == {0: 4, 1: 4, 2: 4, 3: 1}
    assert train.classes == test.classes == ["a", "b", "c", "d"]
    assert list_split(tmp_path / "elsewhere", files, "test").files == test.files
    assert test.files[:4] != files[:4]


def test_the_images_of_the_other_split_are_counted(tmp_path):
    files = [f"{name}/{number}.png" for name in "ab" for number in range(10)]
    train, test = (list_split(tmp_path, files, split) for split in ("train", "test"))
    assert (train.held_out, test.held_out) == (len(test), len(train)) == (4, 16)
    assert list_split(tmp_path, files, "all").held_out == 0


def test_without_classes_both_splits_have_all_images(tmp_path):
    for split in ("train", "test"):
        listing = list_split(tmp_path, ["a.png", "b.png"], split)
        assert (listing.files, listing.labels()) == (["a.png", "b.png"], None)


@pytest.mark.parametrize("held", ["test", "val"])
def test_folders_named_like_splits_are_the_splits(tmp_path, held):
    files = sorted(["train/b/1.png", "train/a/2.png", f"{held}/b/3.png", f"{held}/c/4.png", "notes.png"])
    train, test = (list_split(tmp_path, files, split) for split in ("train", "test"))
    assert (train.root, train.files, train.labels()) == (tmp_path / "train", ["a/2.png", "b/1.png"], [0, 1])
    assert (test.root, test.files, test.labels()) == (tmp_path / held, ["b/3.png", "c/4.png"], [1, 2])


def test_a_single_top_folder_is_entered(tmp_path):
    files = [f"unpacked/set/{file}" for file in many("ab", 5)]
    listing = list_split(tmp_path, files, "train")
    assert listing.root == tmp_path / "unpacked/set"
    assert listing.classes == ["a", "b"]
    assert len(listing.files) == 8


def test_classes_too_small_for_a_test_split_are_refused(tmp_path):
    assert list_split(tmp_path, ["a/1.png", "b/1.png"], "train").labels() == [0, 1]
    with pytest.raises(UotaError, match="at least 3 images"):
        list_split(tmp_path, ["a/1.png", "b/1.png"], "test")


# Files by layout; the classes of all of them, and the class of each file in the order of `sorted(files)`.
WHOLE = {
    "classes": (["a/1.png", "b/2.png"], ["a", "b"], ["a", "b"]),
    "a file beside classes": (["a/1.png", "b/2.png", "c.png"], ["a", "b"], ["a", "b", None]),
    "flat": (["1.png", "2.png"], None, None),
    "an archive with a file beside it": (["readme.png", "set/a/1.png", "set/b/1.png"], ["a", "b"], [None, "a", "b"]),
    "train alone": (["train/a/1.png", "train/b/1.png"], ["a", "b"], ["a", "b"]),
    "several splits, and images in none": (
        [
            "more/d/1.png",
            "new.png",
            "test/a/1.png",
            "test/c/1.png",
            "train/a/1.png",
            "train/b/1.png",
            "train/z.png",
            "val/b/1.png",
        ],
        ["a", "b", "c"],
        [None, None, "a", "c", "a", "b", None, "b"],
    ),
    "splits in an archive": (
        ["set/test/a/1.png", "set/train/a/1.png", "set/train/b/1.png"],
        ["a", "b"],
        ["a", "a", "b"],
    ),
    "a test split without labels": (["test/1.png", "train/a/1.png", "train/b/1.png"], ["a", "b"], [None, "a", "b"]),
    "training without labels": (["test/a/1.png", "test/b/1.png", "train/1.png"], None, None),
}


@pytest.mark.parametrize("layout", WHOLE)
def test_all_has_every_image_under_its_path_in_the_folder(tmp_path, layout):
    files, classes, expected = WHOLE[layout]
    listing = list_split(tmp_path, files, "all")
    assert (listing.root, listing.files, listing.classes) == (tmp_path, files, classes)
    labels = listing.labels()
    assert (labels and [classes[label] if label >= 0 else None for label in labels]) == expected
    without = (expected or []).count(None)
    assert listing.left_out.counts.total() == without
    assert all("have no label" in reason for reason in listing.left_out.counts)


def test_all_is_train_and_test_with_their_labels(tmp_path):
    for files in (many("abc", 20), many(["train/a", "train/b", "test/b", "test/c"], 3)):
        train, test, both = (list_split(tmp_path, files, split) for split in ("train", "test", "all"))
        assert train.classes == test.classes == both.classes == ["a", "b", "c"]
        labels = {
            listing.path(index): label for listing in (train, test) for index, label in enumerate(listing.labels())
        }
        assert labels == {both.path(index): label for index, label in enumerate(both.labels())}
        assert len(labels) == len(both) == len(files)


def test_folders_that_are_taken_for_classes_are_mentioned_for_all_too(tmp_path):
    files = many(["train", "dogs"], 5)
    (remark,) = list_split(tmp_path, files, "all").left_out.remarks
    assert remark in list_split(tmp_path, files, "train").left_out.remarks
