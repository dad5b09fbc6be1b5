"""Tar shards in the layouts that WebDataset reads."""

import doctest
import gzip
import io
import os
import pickle
import tarfile
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from PIL import Image
from tests.hostile.conftest import write_tar
from torch.utils.data import DataLoader

import uota.data.packed.shards
from uota import UotaError
from uota.data import FolderOptions, PackedSource, Source, open_groups, open_source
from uota.data.fingerprint import fingerprint
from uota.data.packed.shards import expand_braces
from uota.data.packed.tar_index import stored_index


def png(seed, size=(12, 10)):
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "png")
    return file.getvalue()


def pixels(data):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).permute(2, 0, 1)


@pytest.fixture
def shards(tmp_path):
    """Four shards of 5 images among other members; the label of an image is the last bit of its number."""
    for shard in range(4):
        numbers = range(5 * shard, 5 * shard + 5)
        members = [(f"{n:04}.{kind}", data) for n in numbers for kind, data in
                   [("json", b"{}"), ("png", png(n)), ("cls", str(n % 2).encode())]]  # fmt: skip
        write_tar(tmp_path / f"shards-{shard:03}.tar", members)
    return tmp_path


@pytest.mark.parametrize("name", ["shards-{000..003}.tar", "shards-*.tar", "shards-00{0,1}.tar", "shards-002.tar", ""])
def test_shards_are_a_source(shards, name):
    train, test = (open_source(f"{shards}/{name}" if name else shards, split) for split in ("train", "test"))
    assert isinstance(train, PackedSource)
    assert isinstance(train, Source)
    numbers = []
    for source in (train, test):
        names = [source.path(index) for index in range(len(source))]
        numbers += [int(path.stem) for path in names]
        for index, image in enumerate(source.images(range(len(source)))):
            assert torch.equal(image, pixels(png(int(names[index].stem))))
            assert source.labels[index] == int(names[index].stem) % 2
            assert names[index].parent.name == f"shards-{int(names[index].stem) // 5:03}.tar"
    count = {"shards-00{0,1}.tar": 10, "shards-002.tar": 5}.get(name, 20)
    assert len(numbers) == len(set(numbers)) == count
    assert len(test) == round(0.2 * count)
    assert train.skipped == []


def test_shards_named_train_and_test_are_these_splits(shards):
    for number, name in enumerate(["train-0", "train-1", "val-0", "val-1"]):
        (shards / f"shards-{number:03}.tar").rename(shards / f"cats-{name}.tar")
    train, test = (open_source(shards, split) for split in ("train", "test"))
    assert [int(train.path(index).stem) for index in range(10)] == list(range(10))
    assert [int(test.path(index).stem) for index in range(10)] == list(range(10, 20))
    assert train.parts.tolist() == [5, 5]


def test_all_images_of_shards_whatever_their_names(shards):
    whole = open_source(shards, "all")
    assert [int(whole.path(index).stem) for index in range(20)] == list(range(20))
    assert whole.labels.tolist() == [0, 1] * 10
    for number, name in enumerate(["train-0", "val-0", "train-1", "spare"]):
        (shards / f"shards-{number:03}.tar").rename(shards / f"cats-{name}.tar")
    sources = {split: open_source(shards, split) for split in ("train", "test", "all")}
    assert [len(source) for source in sources.values()] == [10, 5, 20]
    assert sorted(int(sources["all"].path(index).stem) for index in range(20)) == list(range(20))
    assert sources["all"].parts.tolist() == [5, 5, 5, 5]
    said = {split: any("named neither train nor test" in one for one in source.remarks())
            for split, source in sources.items()}  # fmt: skip
    assert said == {"train": True, "test": True, "all": False}
    assert len({fingerprint(source)["digest"] for source in sources.values()}) == 3


def test_both_splits_of_unlabelled_shards_have_all_images(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{n}.png", png(n)) for n in range(3)])
    train, test = (open_source(tmp_path / "a.tar", split) for split in ("train", "test"))
    assert len(train) == len(test) == len(open_source(tmp_path, "all")) == 3
    assert train.labels is None
    assert train.path(0) == test.path(0) == tmp_path / "a.tar" / "0.png"


def test_samples_without_a_label_belong_to_training(tmp_path):
    labels = [b"0", b"1", b"", b"cat", b"-7", b"-1", b"9" * 31] + [b"%d" % (n % 2) for n in range(6)]
    members = [member for n, label in enumerate(labels) for member in [(f"{n}.png", png(n)), (f"{n}.cls", label)]]
    write_tar(tmp_path / "a.tar", [*members, ("alone.png", png(99))])
    train, test = (open_source(tmp_path, split) for split in ("train", "test"))
    assert len(train) + len(test) == 14
    without = {train.path(index).stem for index in range(len(train)) if train.labels[index] == -1}
    assert without == {"2", "3", "4", "5", "6", "alone"}
    assert test.labels.tolist() == [0, 1]
    assert train.left_out.sentences() == [
        "6 sample(s) have no label, and are not used in evaluations: " + f"{tmp_path / 'a.tar' / '2.png'} …",
        "3 label(s) in .cls are not whole numbers from 0 to 999999: 3.cls, 4.cls, 6.cls",
    ]


def test_the_image_of_a_sample(tmp_path):
    others = [("x/readme.txt", b"no sample"), ("x/._a.png", png(9)), ("x/caption.txt", b"no image")]
    samples = [("x/a.mask.png", png(1)), ("x/a.PNG", png(2)), ("x/a.txt", b"cat"), ("x.y/b.left.png", png(3))]
    write_tar(tmp_path / "a.tar", others + samples, format=tarfile.GNU_FORMAT)
    source = open_source(tmp_path / "a.tar")
    assert [source.path(index).name for index in range(len(source))] == ["a.PNG", "b.left.png"]
    assert torch.equal(source.images([0])[0], pixels(png(2)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_the_same_samples_as_webdataset_finds(shards):
    webdataset = pytest.importorskip("webdataset")
    pattern = f"{shards}/shards-{{000..003}}.tar"
    theirs = {sample["__key__"]: sample for sample in webdataset.WebDataset(pattern, shardshuffle=False)}
    train, test = (open_source(pattern, split) for split in ("train", "test"))
    assert {source.path(index).stem for source in (train, test) for index in range(len(source))} == theirs.keys()
    for index, image in enumerate(train.images(range(len(train)))):
        sample = theirs[train.path(index).stem]
        assert torch.equal(image, pixels(sample["png"]))
        assert int(sample["cls"]) == train.labels[index]


def test_images_are_read_with_the_given_options(shards):
    source = open_source(shards, folder=FolderOptions(channels=1, max_side=6))
    assert source.channels == 1
    assert source.images([0])[0].shape == (1, 5, 6)


def test_an_index_is_stored_and_rebuilt_when_the_shard_changes(shards):
    open_source(shards)
    shard = shards / "shards-000.tar"
    assert len(stored_index(shard)) == 5
    assert [path.name for path in shards.iterdir() if path.name.startswith(".")] == []
    write_tar(shard, [("new.png", png(7)), ("new.cls", b"0")])
    assert stored_index(shard) is None
    source = open_source(shards)
    assert len(stored_index(shard)) == 1
    (shards / "shards-000.tar.index").write_bytes(b"damaged")
    assert len(open_source(shards)) == len(source)


def test_shards_are_read_even_if_no_index_can_be_written(shards):
    for number in range(4):
        (shards / f"shards-{number:03}.tar.index").mkdir()
    assert len(open_source(f"{shards}/*.tar")) == 16


def test_a_damaged_image_is_replaced_by_the_next_of_its_class_and_named(tmp_path):
    images = [png(n) for n in range(4)]
    images[1] = images[1][: len(images[1]) // 2]
    members = [member for n in range(4) for member in [(f"{n}.png", images[n]), (f"{n}.cls", b"%d" % (n % 2))]]
    write_tar(tmp_path / "train.tar", members)
    write_tar(tmp_path / "test.tar", [("5.png", png(5)), ("5.cls", b"0"), ("6.png", png(6)), ("6.cls", b"1")])
    source = open_source(tmp_path)
    assert torch.equal(source.images([1])[0], pixels(images[3]))
    assert source.skipped == [tmp_path / "train.tar" / "1.png"]


def test_a_shard_truncated_after_it_was_opened(shards, impatient):
    source = open_source(shards)
    os.truncate(shards / "shards-003.tar", 1024)
    with pytest.raises(UotaError, match=r"shards-003.tar.* cannot be read.*truncated"):
        source.images([len(source) - 1])


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


def damage(path):
    data = bytearray(path.read_bytes())
    data[1024:1536] = b"x" * 512  # the second header
    path.write_bytes(data)


def compress(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("harm", [cut, damage, compress, lambda path: path.write_bytes(b"")])
def test_a_shard_that_is_not_a_complete_tar_file(shards, harm):
    harm(shards / "shards-002.tar")
    with pytest.raises(UotaError, match=r"shards-002\.tar is not a complete, uncompressed tar file"):
        open_source(shards)


@pytest.mark.parametrize(
    ("name", "message"),
    [("shards-{000..009}.tar", r"no shard .*004\.tar, nor are there 5 more of the 10"), ("other-*.tar", "no shard"),
     ("shards-9.tar", r"no shard .*shards-9\.tar; write them")],
)  # fmt: skip
def test_missing_shards_are_named(shards, name, message):
    with pytest.raises(UotaError, match=message):
        open_source(f"{shards}/{name}")


def test_shards_at_a_url_are_refused():
    with pytest.raises(UotaError, match="mount their storage"):
        open_source("https://example.org/shards-{000..099}.tar")


def test_shards_without_images(tmp_path):
    write_tar(tmp_path / "a.tar", [("a.txt", b"text")])
    write_tar(tmp_path / "b.tar", [])
    with pytest.raises(UotaError, match="0 image"):
        open_source(tmp_path)
    write_tar(tmp_path / "c.tar", [("1.png", png(1)), ("2.png", png(2))])
    assert open_source(tmp_path).skipped == [tmp_path / "a.tar", tmp_path / "b.tar"]


def test_classes_too_small_for_a_test_split(tmp_path):
    write_tar(tmp_path / "a.tar", [m for n in range(2) for m in [(f"{n}.png", png(n)), (f"{n}.cls", b"0")]])
    with pytest.raises(UotaError, match="at least 3"):
        open_source(tmp_path, "test")


def test_a_folder_of_images_with_a_tar_file_in_it_is_a_folder(shards, write):
    write("a.png"), write("b.png")
    assert len(open_source(shards)) == 2


def test_shards_have_no_groups(shards):
    with pytest.raises(UotaError, match="no groups"):
        open_groups(shards)


def test_shards_are_read_by_forked_and_spawned_workers(shards):
    source = open_source(shards)
    expected = source.images(range(len(source)))
    copy = pickle.loads(ForkingPickler.dumps(source))
    assert all(torch.equal(a, b) for a, b in zip(copy.images(range(16)), expected, strict=True))
    loader = DataLoader(range(len(source)), num_workers=2, collate_fn=source.images, multiprocessing_context="fork")
    assert all(torch.equal(a[0], b) for a, b in zip(loader, expected, strict=True))


def test_braces_are_expanded():
    assert expand_braces("a-{0..2}.tar") == ["a-0.tar", "a-1.tar", "a-2.tar"]
    assert expand_braces("{098..101}") == ["098", "099", "100", "101"]
    assert expand_braces("{x,{y,z}}{1,2}") == ["x1", "x2", "y1", "y2", "z1", "z2"]
    assert expand_braces("no{brace}s{}") == ["no{brace}s{}"]


@pytest.mark.parametrize("pattern", ["{000..012}-{a,b}.tar", "{9..11}", "x{a,b{1..3}}y", "{07..10}"])
def test_braces_as_webdataset_expands_them(pattern):
    assert expand_braces(pattern) == list(pytest.importorskip("braceexpand").braceexpand(pattern))


def test_the_examples_in_docstrings_hold():
    result = doctest.testmod(uota.data.packed.shards)
    assert result.attempted > 0
    assert result.failed == 0
