"""The images of the demo: originals of Fashion-MNIST, balanced, small, with their licence."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import uota.data.demo.embedded as embedded
from uota.data import open_source

ORIGINALS = Path("/usr/share/datasets/fashion-mnist")
TOOL = Path(__file__).parents[3] / "tools" / "embed_fashion_mnist.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embed_fashion_mnist", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("split", "images"), [("train", 8000), ("test", 2000)])
def test_images_are_balanced_grey_and_labelled(split, images):
    source = open_source("demo", split)
    assert (len(source), source.channels, source.name) == (images, 1, "demo")
    assert source.pixels.shape == (images, 1, 28, 28)
    assert source.pixels.dtype == torch.uint8
    assert source.labels.bincount().tolist() == [images // 10] * 10
    assert len(source.classes) == 10
    assert source.skipped == []
    assert source.truth(torch.arange(2), torch.zeros(3, 2, 4)) is None


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_equal_what_the_tool_makes_of_the_originals(split):
    made = tool().balanced(ORIGINALS, split)
    source = open_source("demo", split)
    assert np.array_equal(made, source.pixels[:, 0].numpy())


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_labels_equal_those_of_the_originals():
    full, demo = open_source(ORIGINALS, "test"), open_source("demo", "test")
    label_of = {image.tobytes(): int(label) for image, label in zip(full.pixels.numpy(), full.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in demo.pixels.numpy()] == demo.labels.tolist()


def test_train_and_test_share_no_image():
    train, test = (open_source("demo", split).pixels.numpy() for split in ("train", "test"))
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}


def test_sheets_are_inverted_exactly():
    images = np.random.default_rng(0).integers(0, 256, (160, 28, 28), dtype=np.uint8)
    sheet = embedded.to_sheet(images)
    assert sheet.shape == (56, 80 * 28)
    assert np.array_equal(sheet[28:, 28:56], images[81])
    assert np.array_equal(embedded.from_sheet(sheet), images)


def test_files_take_at_most_6_mb_and_include_the_licence():
    assert sum((embedded.FOLDER / f"{split}.png").stat().st_size for split in ("train", "test")) <= 6e6
    notice = (embedded.FOLDER / "LICENSE-fashion-mnist").read_text()
    assert "The MIT License" in notice
    assert "Copyright (c) 2017 Zalando SE" in notice
    assert "shall be included in all copies" in notice
