"""A folder of images written as shards."""

import json
import os
import tarfile
from pathlib import Path

import pytest
import torch

from uota import UotaError
from uota.commands.cli import main
from uota.data import open_source
from uota.data.packed.sharding import shard


@pytest.fixture
def folder(write, tmp_path):
    for number in range(20):
        write(f"pictures/{'ab'[number % 2]}/{number:02}.png", seed=number, size=(400, 300))
    return tmp_path / "pictures"


def by_name(source):
    """Images, labels and names of a source, by the file's name without the extension."""
    images = source.images(range(len(source)))
    labels = [None] * len(source) if source.labels is None else source.labels.tolist()
    return {source.path(i).stem: (image, labels[i]) for i, image in enumerate(images)}


def assert_same(folder, out):
    for split in ("train", "test"):
        ours, theirs = open_source(out, split), open_source(folder, split)
        assert ours.classes == theirs.classes
        ours, theirs = by_name(ours), by_name(theirs)
        assert ours.keys() == theirs.keys()
        for name, (image, label) in ours.items():
            assert torch.equal(image, theirs[name][0])
            assert label == theirs[name][1]


def test_shards_contain_the_images_and_labels_of_the_folder(folder, tmp_path):
    written = shard(folder, tmp_path / "out", shard_size=1)
    assert written.images == 20
    assert written.left_out == []
    names = [path.name for path in written.shards]
    assert set(names) == {path.name for path in (tmp_path / "out").glob("*.tar")}
    # 16 and 4 images of 0.36 MB; a shard ends with the image that exceeds 1 MB.
    assert names == [*(f"train-{number:05}.tar" for number in range(6)), "test-00000.tar", "test-00001.tar"]
    assert_same(folder, tmp_path / "out")
    assert all(path.stat().st_size < 1.5e6 for path in written.shards)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_webdataset_reads_the_shards(folder, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    written = shard(folder, tmp_path / "out", shard_size=1)
    names = [str(path) for path in written.shards]
    samples = list(webdataset.WebDataset(names, shardshuffle=False).decode("torchrgb8"))
    assert len(samples) == 20
    assert {sample["__key__"]: sample["cls"] for sample in samples} == {
        f"{'ab'[number % 2]}/{number:02}": number % 2 for number in range(20)
    }
    classes = json.loads((tmp_path / "out" / "shards.json").read_text())["classes"]
    assert classes == ["a", "b"]


def test_each_shard_is_a_random_sample_of_all_images(folder, tmp_path):
    shard(folder, tmp_path / "out", shard_size=1)
    source = open_source(tmp_path / "out")
    assert source.labels.tolist() != sorted(source.labels.tolist())


def test_an_unlabelled_folder(write, tmp_path):
    names = ["a.b.png", "a_b.png", "a.B.jpg", "c.JPG", "ä ö.png"]
    for number, name in enumerate(names):
        write(f"flat/{name}", seed=number, **({"format": "jpeg"} if name == "c.JPG" else {}))
    written = shard(tmp_path / "flat", tmp_path / "out")
    assert [path.name for path in written.shards] == ["images-00000.tar"]
    source = open_source(tmp_path / "out")
    assert len(source) == 5
    assert source.labels is None
    stems = [source.path(index).stem for index in range(5)]
    assert len(set(stems)) == 5
    assert not any("." in stem for stem in stems)


def test_damaged_images_are_named_and_left_out(folder, tmp_path, capsys):
    bad = folder / "a" / "04.png"
    bad.write_bytes(bad.read_bytes()[:5000])
    (folder / "b" / "zz.jpg").symlink_to(folder / "nowhere")
    assert main(["shard", str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"left out, cannot be read: {bad}" in said
    assert "zz.jpg" in said
    assert "19 images are in 2 shard(s)" in said
    assert sum(len(open_source(tmp_path / "out", split)) for split in ("train", "test")) == 19


def test_an_interrupted_call_is_resumed(folder, tmp_path, monkeypatch):
    bad = folder / "a" / "04.png"
    bad.write_bytes(bad.read_bytes()[:5000])
    whole = shard(folder, tmp_path / "whole", shard_size=1)
    adds = []

    def interrupted(tar, member, add=tarfile.TarFile.addfile):
        adds.append(member)
        if len(adds) == 21:
            raise KeyboardInterrupt

    real = tarfile.TarFile.addfile
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *a: (interrupted(*a[:2]), real(*a))[1])
    with pytest.raises(KeyboardInterrupt):
        shard(folder, tmp_path / "out", shard_size=1)
    monkeypatch.undo()
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    assert 0 < len(done) < len(whole.shards)
    with pytest.raises(UotaError, match=r"no shard .* nor are there .* with uota shard FOLDER --out"):
        open_source(tmp_path / "out")
    again = shard(folder, tmp_path / "out", shard_size=1)
    assert again.left_out == whole.left_out == [bad]
    assert again.images == 19
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == time for name, time in done.items())
    for one, other in zip(whole.shards, again.shards, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [".uota.lock"]


def test_a_folder_with_other_content_is_not_changed(folder, write, tmp_path):
    shard(folder, tmp_path / "out")
    write("pictures/a/new.png")
    with pytest.raises(UotaError, match="choose another --out"):
        shard(folder, tmp_path / "out")
    with pytest.raises(UotaError, match="choose another --out"):
        shard(folder, folder)


def test_a_full_disk_is_reported(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(UotaError, match=r"train-00000\.tar cannot be written: No space left"):
        shard(folder, tmp_path / "out")
    assert list((tmp_path / "out").glob("*.tar")) == []


@pytest.mark.parametrize(
    ("folder", "size", "message"), [("nowhere", 1, "no folder"), (".", 0, "at least 1"), (".", 1, "no images")]
)
def test_mistakes(tmp_path, folder, size, message):
    with pytest.raises(UotaError, match=message):
        shard(tmp_path / Path(folder), tmp_path / "out", size)


def test_an_image_larger_than_a_shard_leaves_no_gap_in_the_numbers(write, tmp_path):
    for number in range(4):
        write(f"large/{number}.png", seed=number, size=(1000, 1000))
    written = shard(tmp_path / "large", tmp_path / "out", shard_size=1)
    assert [path.name for path in written.shards] == [f"images-{number:05}.tar" for number in range(4)]
