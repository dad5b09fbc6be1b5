"""The original files of Fashion-MNIST; the tests write files of the same format."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from uota import UotaError
from uota.data import open_source


def write_originals(folder: Path, packed: bool = True, images: int = 5, seed: int = 0) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        files = {
            "images-idx3-ubyte": struct.pack(">iiii", 0x803, images, 28, 28) + pixels.tobytes(),
            "labels-idx1-ubyte": struct.pack(">ii", 0x801, images) + bytes(range(images)),
        }
        for name, data in files.items():
            path = folder / f"{prefix}-{name}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return pixels


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", [".", "FashionMNIST/raw"])
def test_the_folder_is_recognised_by_its_file_names(tmp_path, packed, place):
    pixels = write_originals(tmp_path / place, packed)
    for split in ("train", "test"):
        source = open_source(tmp_path, split)
        assert source.name == "fashion-mnist"
        assert np.array_equal(source.pixels[:, 0].numpy(), pixels)
        assert source.labels.tolist() == [0, 1, 2, 3, 4]


def test_all_images_are_those_of_training_then_those_of_test(tmp_path):
    write_originals(tmp_path)
    test = write_originals(tmp_path / "other", images=3, seed=1)
    for file in (tmp_path / "other").glob("t10k*"):
        file.replace(tmp_path / file.name)
    train, source = open_source(tmp_path), open_source(tmp_path, "all")
    assert np.array_equal(source.pixels[:, 0].numpy(), np.concatenate([train.pixels[:, 0].numpy(), test]))
    assert source.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_a_missing_file_is_named(tmp_path):
    write_originals(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UotaError, match="neither t10k-labels-idx1-ubyte nor"):
        open_source(tmp_path, "test")


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"", lambda data: b"no gzip" + data])
def test_a_damaged_file_is_named(tmp_path, damage):
    write_originals(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UotaError, match=r"train-images-idx3-ubyte\.gz is not a whole idx file"):
        open_source(tmp_path)


def test_labels_of_other_images_are_refused(tmp_path):
    write_originals(tmp_path, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 0x801, 4) + bytes(4))
    with pytest.raises(UotaError, match="5 images and 4 labels"):
        open_source(tmp_path)


def test_images_given_as_labels_are_refused(tmp_path):
    write_originals(tmp_path, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes((tmp_path / "train-images-idx3-ubyte").read_bytes())
    with pytest.raises(UotaError, match="magic number"):
        open_source(tmp_path)
