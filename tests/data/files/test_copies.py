"""Shrunk copies: the same pixels whether a copy is there or not, and nothing in the folder is trusted."""

import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.files.items import Items
from torch.utils.data import DataLoader

from uota import UotaError
from uota.data import FolderOptions, open_source
from uota.data.files import copies as module
from uota.data.files.copies import CopyOptions, Tally, copies_folder, default_folder
from uota.data.files.decode import read_image

SIDE = 20


@pytest.fixture
def folder(write, tmp_path):
    """Six wide pictures, one tall, one of the copies' size and one smaller."""
    for number in range(6):
        write(f"pictures/{number}.jpg", seed=number, size=(60, 40))
    write("pictures/6.jpg", seed=6, size=(30, 45))
    write("pictures/7.png", seed=7, size=(50, SIDE))
    write("pictures/8.png", seed=8, size=(12, 10))
    return tmp_path / "pictures"


@pytest.fixture
def opened(folder, tmp_path):
    """Return a function that opens the pictures with copies, and without a cache of pixels in memory."""

    def make(side=SIDE, place="copies", data=folder, **options):
        chosen = CopyOptions(side, tmp_path / place)
        return open_source(data, "all", FolderOptions(cache_megabytes=0, copies=chosen, **options))

    return make


def tally(source):
    return source.decoded.copies.tally()


def pillows(path):
    with Image.open(path) as image:
        image.load()
        return image


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_images_are_shrunk_to_their_short_side_and_small_ones_are_as_they_were(opened, tmp_path):
    source = opened()
    images = source.images(range(9))
    assert [tuple(image.shape[1:]) for image in images] == [(20, 30)] * 6 + [(30, 20), (20, 50), (10, 12)]
    for index in (7, 8):
        assert torch.equal(images[index], read_image(source.path(index)))
    theirs = pillows(source.path(6)).resize((20, 30), Image.Resampling.BILINEAR)
    apart = (images[6].permute(1, 2, 0).int() - torch.from_numpy(np.asarray(theirs).astype(np.int32))).abs().float()
    assert apart.mean() < 12  # of noise, the worst case of a JPEG
    copies = files_in(tmp_path / "copies")
    assert len(copies) == 7
    assert sorted(pillows(path).size for path in copies) == [(20, 30), *[(30, 20)] * 6]  # for any viewer


def test_pixels_are_the_same_whether_a_copy_is_made_or_found(opened):
    source = opened()
    cold = source.images(range(9))
    assert tally(source) == Tally(found=0, made=7, not_kept=0)
    assert all(torch.equal(one, other) for one, other in zip(cold, source.images(range(9)), strict=True))
    assert tally(source) == Tally(found=0, made=7, not_kept=0)  # later on they are the same images
    again = opened()
    assert all(torch.equal(one, other) for one, other in zip(cold, again.images(range(9)), strict=True))
    assert tally(again) == Tally(found=7, made=0, not_kept=0)


def test_the_files_are_not_decoded_again(opened, monkeypatch):
    before = opened().images(range(7))
    monkeypatch.setattr("uota.data.files.decoded.decode_image", lambda *_: pytest.fail("decoded"))
    assert all(torch.equal(one, other) for one, other in zip(before, opened().images(range(7)), strict=True))


DAMAGES = {
    "empty": lambda data, other: b"",
    "cut": lambda data, other: data[: len(data) // 2],
    "without its end": lambda data, other: data[:-1],
    "a bit": lambda data, other: data[:300] + bytes([data[300] ^ 1]) + data[301:],
    "another image": lambda data, other: other,
    "a plain JPEG": lambda data, other: data[: -module.END],
    "no image, but signed": lambda data, other: b"text",
    "far too large": lambda data, other: bytes(2 * 2**20),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_or_foreign_is_made_again(opened, tmp_path, damage):
    right = opened(image_megabytes=1).images(range(7))
    files = files_in(tmp_path / "copies")
    data = [file.read_bytes() for file in files]
    for file, own, other in zip(files, data, [*data[1:], data[0]], strict=True):
        broken = DAMAGES[damage](own, other)
        name = f"{file.parent.name}{file.stem}"
        file.write_bytes(broken + (module._end_of(broken, name) if "signed" in damage else b""))
    source = opened(image_megabytes=1)
    assert all(torch.equal(one, other) for one, other in zip(right, source.images(range(7)), strict=True))
    assert tally(source) == Tally(found=0, made=7, not_kept=0)
    assert [file.read_bytes() for file in files] == data


def test_a_copy_of_another_size_with_a_right_checksum_is_made_again(opened, tmp_path):
    right = opened().images([0])[0]
    (file,) = files_in(tmp_path / "copies")
    Image.new("RGB", (90, 60)).save(file, "jpeg")
    jpeg = file.read_bytes()
    file.write_bytes(jpeg + module._end_of(jpeg, f"{file.parent.name}{file.stem}"))
    assert torch.equal(opened().images([0])[0], right)


@pytest.mark.parametrize("what", ["a folder", "a link to nothing", "a pipe"])
def test_what_is_no_file_does_no_harm(opened, tmp_path, what):
    right = opened().images([0])[0]
    (file,) = files_in(tmp_path / "copies")
    file.unlink()
    {"a folder": file.mkdir, "a link to nothing": lambda: file.symlink_to("no"), "a pipe": lambda: os.mkfifo(file)}[
        what
    ]()
    assert torch.equal(opened().images([0])[0], right)


def test_a_changed_file_has_another_copy(opened, folder, write):
    first = opened().images([0])[0]
    times = (folder / "0.jpg").stat()
    write("pictures/0.jpg", seed=100, size=(60, 40))
    os.utime(folder / "0.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))  # as some programs that copy files do
    source = opened()
    assert not torch.equal(source.images([0])[0], first)
    assert tally(source).made == 1


@pytest.mark.parametrize("options", [{"side": 16}, {"channels": 1}, {"background": (0, 0, 0)}, {"image_megabytes": 9}])
def test_what_decides_about_pixels_decides_about_copies(opened, options):
    opened().images(range(7))
    source = opened(**options)
    source.images(range(7))
    assert tally(source) == Tally(found=0, made=7, not_kept=0)


def test_a_source_that_is_copied_elsewhere_is_another(opened, folder, tmp_path):
    opened().images(range(7))
    shutil.copytree(folder, tmp_path / "other", copy_function=shutil.copy2)
    source = opened(data=tmp_path / "other")
    source.images(range(7))
    assert tally(source).made == 7


def test_grey_images_have_grey_copies(opened, tmp_path):
    opened(channels=1).images(range(7))
    assert {pillows(file).mode for file in files_in(tmp_path / "copies")} == {"L"}


def test_a_damaged_image_is_replaced_with_copies_too(opened, folder):
    path = folder / "2.jpg"
    path.write_bytes(path.read_bytes()[:-600])
    source = opened()
    found = source.images([2, 3])
    assert torch.equal(*found)
    assert source.skipped == [path]


def test_a_full_disk_or_a_closed_folder_stops_nothing(opened, tmp_path, monkeypatch):
    right = opened(place="others").images(range(7))
    monkeypatch.setattr(module, "RESERVE", 2**62)
    full = opened()
    assert all(torch.equal(one, other) for one, other in zip(right, full.images(range(7)), strict=True))
    assert tally(full) == Tally(found=0, made=0, not_kept=7)
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    closed = opened(place="file/copies")
    assert all(torch.equal(one, other) for one, other in zip(right, closed.images(range(7)), strict=True))
    assert tally(closed) == Tally(found=0, made=0, not_kept=7)


def test_processes_share_copies_and_the_tally(opened):
    source = opened()
    right = opened(place="others").images(range(9))
    loader = DataLoader(Items(source), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert all(torch.equal(one, other) for one, other in zip(right, loader, strict=True))
    assert tally(source).made == 7
    unpickled = pickle.loads(pickle.dumps(source.decoded.copies))
    image = unpickled.image(0, source.listing.identity(0), lambda: pytest.fail("made again"))
    assert torch.equal(image, right[0])


def test_what_a_killed_process_leaves_is_not_read(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("uota.io.atomic.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        opened().images([0])
    monkeypatch.undo()
    source = opened()
    source.images([0])
    assert tally(source).made == 1


def test_images_in_shards_have_copies(folder, opened, tmp_path):
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards/a.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    right = opened().images(range(9))
    for found in (0, 7):
        source = opened(data=tmp_path / "shards")
        assert all(torch.equal(one, other) for one, other in zip(right, source.images(range(9)), strict=True))
        assert tally(source).found == found
    assert opened(data=tmp_path / "shards").at_full_size().images([0])[0].shape == (3, 40, 60)


def test_images_of_a_saved_data_set_have_copies(folder, opened, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the extra `datasets`")
    files = sorted(map(str, folder.iterdir()))
    table = datasets.Dataset.from_dict({"image": files}, datasets.Features({"image": datasets.Image()}))
    table.map(lambda row: row, batched=True).save_to_disk(tmp_path / "saved")
    right = opened(data=tmp_path / "saved", place="others").images(range(9))
    for found in (0, 7):
        source = opened(data=tmp_path / "saved")
        assert all(torch.equal(one, other) for one, other in zip(right, source.images(range(9)), strict=True))
        assert tally(source).found == found


def test_shrunk_images_are_kept_in_memory_if_they_fit(folder, tmp_path):
    options = FolderOptions(copies=CopyOptions(SIDE, tmp_path / "copies"))
    source = open_source(folder, "all", options)
    first = source.images(range(9))
    shutil.rmtree(tmp_path / "copies")
    assert source.cache.sizes.tolist() == [3 * image[0].numel() for image in first]
    assert all(torch.equal(one, other) for one, other in zip(first, source.images(range(9)), strict=True))
    assert not (tmp_path / "copies").exists()
    assert source.at_full_size().images([0])[0].shape == (3, 40, 60)


def test_the_folder_is_the_users_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert copies_folder(None) == default_folder() == tmp_path / ".cache/uota/shrunk"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert str(copies_folder(None)) == "/elsewhere/uota/shrunk"
    assert copies_folder("~/mine") == tmp_path / "mine"


def test_in_memory_nobody_else_may_own_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY", tmp_path / "none")
    with pytest.raises(UotaError, match=r"there is no .*none on this machine; give a folder"):
        copies_folder("ram")
    monkeypatch.setattr(module, "MEMORY", tmp_path)
    folder = copies_folder("ram")
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert copies_folder("ram") == folder
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(UotaError, match="belongs to another user"):
        copies_folder("ram")
