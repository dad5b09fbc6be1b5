"""Data sets that the library `datasets` saved to disk."""

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from torch.utils.data import DataLoader

from uota import UotaError
from uota.data import FolderOptions, PackedSource, Source, open_groups, open_source
from uota.data.files.decode import read_image
from uota.data.fingerprint import fingerprint

datasets = pytest.importorskip("datasets", reason="needs the extra `datasets`")


@pytest.fixture
def table(write):
    """Twenty images in two classes, with their bytes in the table."""
    files = [str(write(f"pictures/{number:02}.png", seed=number)) for number in range(20)]
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    made = datasets.Dataset.from_dict({"image": files, "kind": [number % 2 for number in range(20)]}, features)
    return made.map(lambda row: row, batched=True)  # this copies the files into the table


def number_of(source, index):
    return int(source.path(index).name.removeprefix("row "))


def test_a_saved_data_set_is_a_source(table, tmp_path):
    table.save_to_disk(tmp_path / "saved")
    train, test = (open_source(tmp_path / "saved", split) for split in ("train", "test"))
    assert isinstance(train, PackedSource)
    assert isinstance(train, Source)
    assert (len(train), len(test), train.classes) == (16, 4, ["cat", "dog"])
    rows = [number_of(source, index) for source in (train, test) for index in range(len(source))]
    assert sorted(rows) == list(range(20))
    assert test.labels.bincount().tolist() == [2, 2]
    for index, image in enumerate(train.images(range(16))):
        number = number_of(train, index)
        assert torch.equal(image, read_image(tmp_path / f"pictures/{number:02}.png"))
        assert train.labels[index] == number % 2
    assert train.skipped == []


def test_the_splits_of_a_saved_data_set_are_used(table, tmp_path):
    parts = {"train": table.select(range(15)), "validation": table.select(range(15, 20))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    train, test = (open_source(str(tmp_path / "saved"), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (15, 5)
    assert torch.equal(test.images([0])[0], read_image(tmp_path / "pictures/15.png"))
    assert test.path(0) == tmp_path / "saved" / "validation" / "row 0"


def test_all_rows_of_a_saved_data_set(table, tmp_path):
    table.save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved", "all")
    assert [number_of(source, index) for index in range(len(source))] == list(range(20))
    assert source.labels.tolist() == [0, 1] * 10
    table.remove_columns("kind").save_to_disk(tmp_path / "plain")
    assert len(open_source(tmp_path / "plain", "all")) == 20


def test_all_rows_of_every_split_are_labelled_by_the_names_of_their_classes(table, tmp_path):
    renamed = table.select(range(5, 10)).map(lambda row: {"kind": 1 - row["kind"]})
    renamed = renamed.cast_column("kind", datasets.ClassLabel(names=["dog", "cat"]))  # in another order
    parts = {"train": table.select(range(5)), "test": renamed}
    parts["extra"] = table.select(range(10, 15)).remove_columns("kind")
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved", "all")
    assert (len(source), source.classes) == (15, ["cat", "dog"])
    assert source.labels.tolist() == [number % 2 for number in range(10)] + [-1] * 5
    names = [f"{part}/row {row}" for part in parts for row in range(5)]
    assert [source.path(index) for index in range(15)] == [tmp_path / "saved" / name for name in names]
    for index, image in enumerate(source.images(range(15))):
        assert torch.equal(image, read_image(tmp_path / f"pictures/{index:02}.png"))
    assert source.remarks() == [
        f"{source.name}: 5 row(s) have no class label, and are not used in evaluations: extra/row 0 …"
    ]
    digests = {fingerprint(open_source(tmp_path / "saved", split))["digest"] for split in ("train", "test", "all")}
    assert len(digests) == 3
    copy = pickle.loads(ForkingPickler.dumps(source))
    assert torch.equal(copy.images([14])[0], source.images([14])[0])


def test_one_of_several_columns_is_chosen(table, tmp_path):
    labels = datasets.ClassLabel(names=["small", "large"])
    cells = table.cast_column("image", datasets.Image(decode=False))["image"][:]
    table = table.add_column("left", cells, feature=datasets.Image())
    table.add_column("size", [1] * 10 + [0] * 10, feature=labels).save_to_disk(tmp_path / "saved")
    with pytest.raises(UotaError, match=r"choose one by #image= image or left"):
        open_source(tmp_path / "saved")
    with pytest.raises(UotaError, match=r"choose one by #label= kind or size"):
        open_source(f"{tmp_path}/saved#image=left")
    with pytest.raises(UotaError, match="'kind' is not a column of the type Image"):
        open_source(f"{tmp_path}/saved#image=kind&label=kind")
    source = open_source(f"{tmp_path}/saved#image=left&label=size")
    assert source.classes == ["small", "large"]
    assert [int(label) for label in source.labels] == [int(number_of(source, index) < 10) for index in range(16)]


def test_splits_without_labels_and_a_single_row_without_a_label(table, tmp_path):
    table.remove_columns("kind").save_to_disk(tmp_path / "plain")
    some = table.map(lambda row, index: {"kind": None if index == 3 else 1}, with_indices=True)
    some.save_to_disk(tmp_path / "some")
    train, test = (open_source(tmp_path / "plain", split) for split in ("train", "test"))
    assert len(train) == len(test) == 20
    assert train.labels is None
    train, test = (open_source(tmp_path / "some", split) for split in ("train", "test"))
    assert len(train) + len(test) == 20
    assert [number_of(train, index) for index in range(len(train)) if train.labels[index] == -1] == [3]
    assert test.labels.min() == 1
    assert train.left_out.sentences() == ["1 row(s) have no class label, and are not used in evaluations: row 3"]


def test_damaged_images_are_replaced_and_named(table, tmp_path):
    cells = [{"bytes": b"no image", "path": None} if n == 2 else cell for n, cell in
             enumerate(table.cast_column("image", datasets.Image(decode=False))["image"])]  # fmt: skip
    cells[5] = None
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": cells}, features).save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved", folder=FolderOptions(channels=1))
    images = source.images(range(20))
    assert torch.equal(images[2], images[3])
    assert [path.name for path in source.skipped] == ["row 2", "row 5"]


def test_a_saved_data_set_is_read_by_forked_and_spawned_workers(table, tmp_path):
    table.save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved")
    expected = source.images(range(16))
    copy = pickle.loads(ForkingPickler.dumps(source))
    assert all(torch.equal(a, b) for a, b in zip(copy.images(range(16)), expected, strict=True))
    loader = DataLoader(range(16), num_workers=2, collate_fn=source.images, multiprocessing_context="fork")
    assert all(torch.equal(a[0], b) for a, b in zip(loader, expected, strict=True))


def test_mistakes(table, tmp_path, monkeypatch):
    table.save_to_disk(tmp_path / "saved")
    table.remove_columns("image").save_to_disk(tmp_path / "blind")
    datasets.DatasetDict({"a": table, "b": table}).save_to_disk(tmp_path / "parts")
    with pytest.raises(UotaError, match="no groups"):
        open_groups(tmp_path / "saved")
    with pytest.raises(UotaError, match="no column of images, only kind"):
        open_source(tmp_path / "blind")
    with pytest.raises(UotaError, match="has the splits a, b"):
        open_source(tmp_path / "parts")
    assert len(open_source(tmp_path / "parts" / "a")) == 16
    assert len(open_source(tmp_path / "parts", "all")) == 40
    for arrow in (tmp_path / "saved").glob("*.arrow"):
        arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(UotaError, match="cannot be read"):
        open_source(tmp_path / "saved")
    monkeypatch.setattr("uota.data.packed.saved.find_spec", lambda name: None)
    with pytest.raises(UotaError, match=r"pip install 'uota\[datasets\]'"):
        open_source(tmp_path / "saved")
