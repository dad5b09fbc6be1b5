"""Folders of images: flat, in classes, with damaged files, and as they are found in practice."""

import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.data.files.items import Items
from torch.utils.data import DataLoader

from uota import UotaError
from uota.data import FolderOptions, describe_skipped, open_source
from uota.data.files.decode import read_image
from uota.data.fingerprint import fingerprint

STAMPS = Path("/usr/share/tuxpaint/stamps")
NEVER = FolderOptions(cache_megabytes=0)


def cut(path: Path) -> Path:
    """Leave the header and half of the pixels."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture
def classes(write, tmp_path):
    for number in range(20):
        write(f"{'ab'[number % 2]}/{number:02}.png", seed=number, size=(40, 30))
    return tmp_path


def test_a_flat_folder(write, tmp_path):
    for number, extension in enumerate(["png", "jpg", "gif", "bmp", "webp"]):
        write(f"{number}.{extension}", size=(10 + number, 9))
    source = open_source(tmp_path)
    assert (len(source), source.channels, source.labels, source.classes) == (5, 3, None, None)
    assert [tuple(image.shape) for image in source.images(range(5))] == [(3, 9, 10 + number) for number in range(5)]
    assert source.truth(torch.arange(5), torch.zeros(2, 5, 4)) is None
    assert source.skipped == []
    assert describe_skipped(source) is None
    assert source.name == str(tmp_path)


def test_a_folder_of_classes(classes):
    train, test = (open_source(str(classes), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (16, 4)
    assert train.classes == test.classes == ["a", "b"]
    assert train.labels.bincount().tolist() == [8, 8]
    assert test.labels.bincount().tolist() == [2, 2]
    assert not {train.path(index) for index in range(16)} & {test.path(index) for index in range(4)}
    for index, image in enumerate(train.images(range(16))):
        assert torch.equal(image, read_image(train.path(index)))
        assert train.path(index).parent.name == train.classes[train.labels[index]]


def test_channels_size_and_background_are_chosen(write, tmp_path):
    write("a.png", mode="RGBA", size=(40, 30))
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "b.png")
    source = open_source(tmp_path, folder=FolderOptions(channels=1, max_side=20, background=(7, 7, 7)))
    grey, clear = source.images([0, 1])
    assert source.channels == 1
    assert grey.shape == (1, 15, 20)
    assert (clear == 7).all()


@pytest.mark.parametrize("options", [FolderOptions(), NEVER])
def test_files_that_are_not_images_are_left_out_at_opening_and_named(classes, options):
    (classes / "a/00.png").write_bytes(b"")
    (classes / "b/zz.jpg").write_bytes(b"no image")
    source = open_source(classes, folder=options)
    assert {path.name for path in source.skipped} == {"00.png", "zz.jpg"}
    assert len(source) + len(open_source(classes, "test")) == 19
    assert "2 file(s)" in describe_skipped(source)
    assert str(classes / "a/00.png") in describe_skipped(source)


@pytest.mark.parametrize("options", [FolderOptions(), NEVER])
def test_a_truncated_image_is_replaced_by_the_next_of_its_class(classes, options):
    source = open_source(classes, folder=options)
    broken = [index for index in range(16) if source.labels[index] == 0][-1]
    cut(source.path(broken))
    image = source.images([broken])[0]
    first_of_class = source.labels.tolist().index(0)
    assert torch.equal(image, read_image(source.path(first_of_class)))
    assert source.skipped == [source.path(broken)]
    assert torch.equal(source.images([broken])[0], image)
    assert open_source(classes, folder=options).check() == source.skipped


def test_a_class_without_a_readable_image_borrows_from_another(classes):
    source = open_source(classes)
    for index in range(16):
        if source.labels[index] == 0:
            cut(source.path(index))
    assert torch.equal(source.images([0])[0], read_image(source.path(source.labels.tolist().index(1))))
    assert len(source.skipped) == 8


def test_a_folder_that_disappears_is_an_error(classes, impatient):
    source = open_source(classes, folder=NEVER)
    for index in range(len(source)):
        source.path(index).unlink()
    with pytest.raises(UotaError, match=r"cannot be read.*No such file or directory; make its disk available"):
        source.images([3])
    assert source.skipped == []


def test_a_folder_that_is_unavailable_for_a_while_loses_no_image(classes, impatient, monkeypatch):
    source = open_source(classes, folder=NEVER)
    expected = source.images([3])[0]
    classes.rename(classes.with_name("unmounted"))
    monkeypatch.setattr("time.sleep", lambda _: classes.with_name("unmounted").rename(classes))
    assert torch.equal(source.images([3])[0], expected)
    assert source.skipped == []


def test_decoded_images_are_cached(classes):
    source = open_source(classes)
    before = source.images(range(16))
    for index in range(16):
        source.path(index).unlink()
    assert all(torch.equal(a, b) for a, b in zip(before, source.images(range(16)), strict=True))
    assert source.skipped == []


def test_images_turned_upright_are_cached_too(write, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.png"):
        write(name, size=(30, 20), exif=exif)
    source = open_source(tmp_path)
    before = source.images([0, 1])
    assert before[0].shape == before[1].shape == (3, 30, 20)
    assert torch.equal(source.cache.get(0), before[0])
    assert torch.equal(source.cache.get(1), before[1])


def test_folders_larger_than_the_cache_are_read_each_time(classes):
    assert open_source(classes, folder=FolderOptions(cache_megabytes=1)).cache.sizes is not None
    source = open_source(classes, folder=NEVER)
    source.images([0])
    assert source.cache.get(0) is None
    source.path(0).write_bytes(b"damaged since")
    source.images([0])
    assert source.skipped == [source.path(0)]


def test_large_folders_are_not_checked_at_opening(classes, monkeypatch):
    monkeypatch.setattr("uota.data.files.folder.CHECKED_AT_OPENING", 10)
    source = open_source(classes)
    source.path(2).write_bytes(b"")
    source = open_source(classes)
    assert (len(source), source.skipped) == (16, [])
    source.images([2])
    assert source.skipped == [source.path(2)]


def keep(batch):
    return batch


def test_workers_share_decoded_images_and_unreadable_files(classes):
    source = open_source(classes)
    cut(source.path(5))
    expected = [image.clone() for image in open_source(classes).images(range(16))]
    loader = DataLoader(Items(source), num_workers=2, collate_fn=keep, multiprocessing_context="fork")
    got = [batch[0] for batch in loader]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert source.skipped == [source.path(5)]  # found by a worker, known to this process
    assert all(source.cache.get(index) is not None for index in range(16) if index != 5)


def test_a_folder_can_be_sent_to_a_spawned_process(classes):
    source = open_source(classes)
    cut(source.path(5))
    source.images([5])
    copy = pickle.loads(ForkingPickler.dumps(source))
    assert copy.skipped == source.skipped
    assert torch.equal(copy.images([4])[0], source.images([4])[0])
    assert [tuple(image.shape) for image in copy.images(range(16))] == [(3, 30, 40)] * 16
    assert copy.cache.get(4) is not None


def test_no_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UotaError, match=r"\.jpg, \.jpeg.*\.webp"):
        open_source(tmp_path)


def test_a_single_image(write, tmp_path):
    write("a.png")
    with pytest.raises(UotaError, match="at least two images"):
        open_source(tmp_path)


def test_a_folder_of_damaged_files(tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UotaError, match=r"none of the 2 image files .* can be read; .*a\.png: the file is empty"):
        open_source(tmp_path)


def test_unusual_file_names(write, tmp_path):
    for name in ("ä ö.png", "b\nc.png", "d%20e.png", "-f.png"):
        write(name)
    bad = Path(str(tmp_path)) / b"\xff.png".decode(errors="surrogateescape")
    bad.write_bytes(b"")
    source = open_source(tmp_path)
    assert len(source.images(range(4))) == 4
    assert describe_skipped(source).encode()


@pytest.mark.parametrize(("option", "value"), [("channels", 2), ("max_side", 0), ("background", (0, 0, 256))])
def test_invalid_options_are_refused(option, value):
    with pytest.raises(UotaError, match=option):
        FolderOptions(**{option: value})


@pytest.mark.skipif(not STAMPS.is_dir(), reason="Debian's tuxpaint-stamps-default is not installed")
def test_a_real_folder_of_pictures():
    train, test = (open_source(STAMPS, split, FolderOptions(max_side=64)) for split in ("train", "test"))
    assert len(train) + len(test) > 700
    assert {"animals", "food", "vehicles"} <= set(train.classes)
    assert len(test) / (len(train) + len(test)) == pytest.approx(0.2, abs=0.02)
    chosen = range(0, len(train), 10)
    for image in train.images(chosen):
        assert image.shape[0] == 3
        assert max(image.shape) <= 64
    corners = torch.stack([image[:, 0, 0] for image in train.images(chosen)])
    assert (corners == 255).all(1).float().mean() > 0.5  # the pictures are cut-outs on white
    assert train.skipped == []


def test_a_subset_of_a_folder_is_a_folder_with_the_same_labels(pictures):
    whole = open_source(pictures)
    some = whole.subset([5, 2, 9])
    assert some.listing.files == [whole.listing.files[index] for index in (5, 2, 9)]
    assert some.labels.tolist() == whole.labels[[5, 2, 9]].tolist()
    assert some.classes == whole.classes
    assert all(torch.equal(*pair) for pair in zip(some.images([0, 1, 2]), whole.images([5, 2, 9]), strict=True))
    assert some.caches


def test_all_images_of_a_folder_with_splits(write, tmp_path):
    for number, name in enumerate(["train/a/1", "train/a/2", "train/b/1", "val/a/1", "val/b/1", "test/b/1"]):
        write(f"{name}.png", seed=number, size=(10 + number, 9))
    source = open_source(tmp_path, "all")
    names = ["test/b/1.png", "train/a/1.png", "train/a/2.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"]
    assert [source.display_name(index) for index in range(6)] == names
    assert [source.path(index) for index in range(6)] == [tmp_path / name for name in names]
    assert (source.classes, source.labels.tolist()) == (["a", "b"], [1, 0, 0, 1, 0, 1])
    assert (source.total, source.caches, source.remarks()) == (6, True, [])
    for index, image in enumerate(source.images(range(6))):
        assert torch.equal(image, read_image(tmp_path / names[index]))
    some = source.subset([5, 1, 2, 3])
    assert [some.classes[label] for label in some.labels] == [some.path(index).parent.name for index in range(4)]
    cut(tmp_path / "train/b/1.png")
    again = open_source(tmp_path, "all", NEVER)
    assert torch.equal(again.images([3])[0], read_image(tmp_path / "val/b/1.png"))


def test_all_images_of_a_folder_without_splits_are_other_images_than_a_split(classes):
    sources = {split: open_source(classes, split) for split in ("train", "test", "all")}
    assert len(sources["all"]) == 20
    assert len({fingerprint(source)["digest"] for source in sources.values()}) == 3
