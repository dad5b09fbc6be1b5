"""Which files are images, and which labels and splits they get."""

import os
from collections import Counter

import pytest

from uota import UotaError
from uota.data.files.listing import classes_of, find_images, list_split


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_extensions_in_any_case_at_any_depth(tmp_path):
    touch(tmp_path, "a.PNG", "b/c/d.jpeg", "b/c/e.JPG", "f.txt", "g", "b/README.md", "h.png.part")
    found = find_images(tmp_path)
    assert found[:2] == (["a.PNG", "b/c/d.jpeg", "b/c/e.JPG"], [])
    assert found.left_out.sentences() == [
        "1 .txt file(s) are not images: f.txt",
        "1 file(s) without an extension are not images: g",
        "1 .part file(s) are not images: h.png.part",
        "1 .md file(s) are not images: b/README.md",
    ]


def test_hidden_files_and_files_of_other_programs_are_left_out(tmp_path):
    touch(tmp_path, "a.png", ".b.png", "._a.png", ".git/c.png", "__MACOSX/a.png", "x/__MACOSX/a.png", "@eaDir/a.png")
    assert find_images(tmp_path)[0] == ["a.png"]


def test_a_hidden_root_is_read(tmp_path):
    touch(tmp_path, ".cache/a.png")
    assert find_images(tmp_path / ".cache")[0] == ["a.png"]


def test_links_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "set/z/a.png", "elsewhere/b.png")
    root = tmp_path / "set"
    (root / "all").symlink_to(root)
    (root / "z/up").symlink_to(root / "z")
    (root / "again").symlink_to(root / "z")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "self.png").symlink_to(root / "self.png")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    (root / "link.png").symlink_to(root / "z/a.png")
    found = find_images(root)
    assert found.files == ["link.png", "out/b.png", "z/a.png"]
    assert found.closed == ["gone.png", "self.png"]


def test_pipes_and_folders_named_like_images_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    touch(tmp_path, "b.png/c.png")
    assert find_images(tmp_path)[0] == ["b.png/c.png"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_images(tmp_path)[:2] == (["a.png"], ["locked"])


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
