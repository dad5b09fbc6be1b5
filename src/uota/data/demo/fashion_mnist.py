"""The full Fashion-MNIST in its original files."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.data.memory import TensorSource
from uota.data.source import Split
from uota.errors import UotaError

CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
PREFIX = {"train": "train", "test": "t10k"}
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
# Where the files are below the folder that the user names; torchvision puts them into a sub-folder.
PLACES = (".", "raw", "FashionMNIST/raw")


def fashion_mnist_folder(folder: Path) -> Path | None:
    """The folder of the original files in `folder`, recognised by their names; None if there are none."""
    return next((folder / place for place in PLACES if _file(folder / place, f"train-{IMAGES}")), None)


def open_fashion_mnist(folder: Path, split: Split) -> TensorSource:
    """All 60,000 training or 10,000 test images with their labels, (1, 28, 28) each, or both.

    Raises:
        UotaError: a file is missing or damaged.
    """
    parts = [_read_split(folder, part) for part in (PREFIX if split == "all" else [split])]
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return TensorSource("fashion-mnist", images[:, None], labels, CLASSES, "small-grey")


def _read_split(folder: Path, split: str) -> tuple[UInt8[Tensor, "len height width"], Int64[Tensor, " len"]]:
    images = read_idx(_need(folder, f"{PREFIX[split]}-{IMAGES}"), dimensions=3)
    labels = read_idx(_need(folder, f"{PREFIX[split]}-{LABELS}"), dimensions=1)
    if len(images) != len(labels):
        raise UotaError(f"{folder} holds {len(images)} images and {len(labels)} labels of {split}; download it again")
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an idx file of unsigned bytes, gzipped or not."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        magic, *shape = np.frombuffer(data, dtype=">i4", count=1 + dimensions).tolist()
        if magic != 0x0800 + dimensions:
            raise ValueError(f"magic number {magic}")
        return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UotaError(
            f"{path} is not a whole idx file of {dimensions} dimension(s) ({error}); download it again"
        ) from error


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _need(folder: Path, name: str) -> Path:
    path = _file(folder, name)
    if path is None:
        raise UotaError(f"{folder} has other files of Fashion-MNIST but neither {name} nor {name}.gz; download it too")
    return path
