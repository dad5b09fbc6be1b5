"""A folder of images: flat, or one sub-folder per class."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.data.cache import Cache
from uota.data.decode import UnreadableError, read_size
from uota.data.decoded import Decoded, FolderOptions
from uota.data.listing import EXTENSIONS, Listing, find_images, list_split
from uota.data.source import Split
from uota.errors import UotaError
from uota.text import printable

# Up to so many files the header of each is read at opening (some seconds), to leave out what is no image at once.
CHECKED_AT_OPENING = 20_000


class Folder:
    """Images of one split of a folder, decoded when asked for.

    A file that turns out unreadable is replaced by the next readable one of its class (of its group, where there are
    groups), the same in every process, and is named in `skipped`. Files whose header is no image's are left out at
    opening, in folders of up to `CHECKED_AT_OPENING` files.
    """

    def __init__(
        self,
        name: str,
        listing: Listing,
        options: FolderOptions,
        cache: Cache,
        left_out: list[Path],
        kin: NDArray[np.int64] | None = None,
    ) -> None:
        """Use `open_folder`; `kin` numbers the images, those of one number stand in for each other."""
        self.name, self.channels, self.classes = name, options.channels, listing.classes
        labels = listing.labels()
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.root, self.files = listing.root, listing.files
        self.options, self.cache = options, cache
        self._left_out = left_out
        self._kin = np.array(labels, dtype=np.int64) if kin is None and labels is not None else kin
        self.decoded = Decoded(name, listing, options, cache, self._kin)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def skipped(self) -> list[Path]:
        """Files and folders that could not be read so far, by this process or its forked workers."""
        return self._left_out + [self.path(index) for index in self.cache.bad()]

    def path(self, index: int) -> Path:
        """Where an image lies."""
        return self.root / self.files[index]

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images. They may be views of the cache: do not write to them.

        Raises:
            UotaError: not one image of the folder can be read.
        """
        return [self.decoded.image(int(index)) for index in indices]

    def check(self) -> list[Path]:
        """Decode every image now, and return all that cannot be read."""
        for index in range(len(self)):
            self.decoded.own(index)
        return self.skipped

    def truth(self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]) -> None:
        """Nothing is known of crops of these images."""

    def some(self, indices: Sequence[int]) -> "Folder":
        """Of these images only, in this order, but for those whose header is no image's."""
        sizes, bad = _check(self.root, [self.files[index] for index in indices], self.options)
        kept = [index for index in indices if self.files[index] in sizes]
        listing = Listing(self.root, [self.files[index] for index in kept], self.classes)
        cache = _make_cache([sizes[file] for file in listing.files], self.options.cache_megabytes)
        kin = None if self._kin is None else self._kin[kept]
        return Folder(self.name, listing, self.options, cache, self._left_out + [self.root / name for name in bad], kin)

    @property
    def keeps(self) -> bool:
        """Whether images that were read stay in memory."""
        return self.cache.sizes is not None


def open_folder(folder: Path, split: Split, options: FolderOptions | None = None) -> Folder:
    """The images of a split of a folder.

    Labels are the first-level sub-folders, where every image lies in one and there are at least two. A folder with
    `train/` and `test/` (or `val/`) has its splits there; of any other a fifth of each class is the test split, by a
    hash of the path; without labels both splits are all images.

    Raises:
        UotaError: there are no images, a single one, or none that can be read.
    """
    options = options or FolderOptions()
    found = find_readable(folder, options)
    if len(found.files) < 2:
        only = printable(found.files[0])
        raise UotaError(f"{folder} has a single readable image, {only}: at least two images are needed.")
    return found.folder(list_split(folder, found.files, split), options)


class Readable(NamedTuple):
    """The images of a folder, before they are split.

    Attributes:
        root: the folder.
        files: relative to it, sorted.
        sizes: bytes of each when decoded; empty where there are too many to look at.
        left_out: files that are no images, and folders that may not be entered.
    """

    root: Path
    files: list[str]
    sizes: dict[str, int]
    left_out: list[Path]

    def folder(self, listing: Listing, options: FolderOptions, kin: NDArray[np.int64] | None = None) -> Folder:
        """Those that are listed."""
        inner = listing.root.relative_to(self.root).as_posix()
        within = [self.sizes.get(file if inner == "." else f"{inner}/{file}", 0) for file in listing.files]
        return Folder(
            str(self.root), listing, options, _make_cache(within, options.cache_megabytes), self.left_out, kin
        )


def find_readable(folder: Path, options: FolderOptions) -> Readable:
    """The images under a folder.

    Raises:
        UotaError: there are none, or none that can be read.
    """
    files, closed = find_images(folder)
    if not files:
        raise UotaError(f"{folder} has no images: looked, at any depth, for files ending in {', '.join(EXTENSIONS)}.")
    sizes, bad = _check(folder, files, options) if len(files) <= CHECKED_AT_OPENING else ({}, [])
    good = [file for file in files if file in sizes] if len(files) <= CHECKED_AT_OPENING else files
    if not good:
        raise UotaError(f"None of the {len(files)} image files in {folder} can be read, {printable(files[0])} for one.")
    return Readable(folder, good, sizes, [folder / name for name in closed + bad])


def _check(folder: Path, files: list[str], options: FolderOptions) -> tuple[dict[str, int], list[str]]:
    """Bytes of each image when decoded, by its header, and the files that have none."""
    sizes, bad = {}, []
    for file in files:
        try:
            height, width = read_size(folder / file, options.max_side)
            sizes[file] = options.channels * height * width
        except UnreadableError:
            bad.append(file)
    return sizes, bad


def _make_cache(sizes: list[int], megabytes: int) -> Cache:
    fits = all(sizes) and sum(sizes) <= megabytes * 10**6
    return Cache(len(sizes), np.array(sizes, dtype=np.int64) if fits else None)
