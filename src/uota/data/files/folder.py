"""A folder of images: flat, or one sub-folder per class."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.console import printable
from uota.data.files.cache import Cache
from uota.data.files.decode import Header, UnreadableError, read_header, reason_of
from uota.data.files.decoded import Decoded, FolderOptions, estimated_range
from uota.data.files.find import find_images
from uota.data.files.formats import EXTENSIONS
from uota.data.files.left_out import LeftOut
from uota.data.files.listing import Listing, list_split
from uota.data.files.patience import patiently
from uota.data.files.pixel_range import describe_pixel_range
from uota.data.source import Source, Split
from uota.errors import UotaError

# Up to this many files, opening reads the header of each (some seconds) and leaves out files that are no images.
CHECKED_AT_OPENING = 20_000


class Folder(Source):
    """Images of a split of a folder, decoded on demand.

    A file that turns out to be unreadable is replaced by the next readable one of its class, or of its group if there
    are groups; every process makes the same choice, and `skipped` names the file. In folders of up to
    `CHECKED_AT_OPENING` files, those without the header of an image are left out at opening.

    Attributes:
        listing: the files of the split.
        left_out: what else is in the folder and is not used.
    """

    def __init__(
        self,
        name: str,
        listing: Listing,
        options: FolderOptions,
        cache: Cache,
        reasons: dict[Path, str],
        substitute_group: NDArray[np.int64] | None = None,
        total: int | None = None,
    ) -> None:
        """Use `open_folder`; images with the same number in `substitute_group` can substitute each other."""
        self.name, self.channels, self.classes = name, options.channels, listing.classes
        labels = listing.labels()
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.listing, self.options, self.cache = listing, options, cache
        self.pixel_range, self.caches = options.pixel_range, cache.sizes is not None
        self.reasons: dict[Path, str] = reasons
        self.left_out, self.held_out = listing.left_out, listing.held_out
        self._total = len(listing) + len(reasons) if total is None else total
        self._substitute_group = (
            np.array(labels, dtype=np.int64) if substitute_group is None and labels is not None else substitute_group
        )
        self.decoded = Decoded(name, listing, options, cache, self._substitute_group)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.listing)

    @property
    def total(self) -> int:
        """Number of image files in the whole folder, in all splits, including unreadable ones."""
        return self._total

    @property
    def skipped(self) -> list[Path]:
        """Files and folders that could not be read so far, by this process or its forked workers."""
        return [*self.reasons, *(self.path(index) for index in self.cache.bad())]

    def path(self, index: int) -> Path:
        """Path of an image."""
        return self.listing.path(index)

    def display_name(self, index: int) -> str:
        """Path of an image, relative to the folder of its split."""
        return self.listing.files[index]

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images. They may be views of the cache: do not write to them.

        Raises:
            UotaError: no image of the folder can be read.
        """
        return [self.decoded.image(int(index)) for index in indices]

    def check(self) -> list[Path]:
        """Decode every image, and return the files that cannot be read."""
        for index in range(len(self)):
            self.decoded.own(index)
        return self.skipped

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images that are known to be unreadable."""
        return self.decoded.unreadable(images)

    def unreadable_counts(self) -> tuple[int, int]:
        """Number of images that could not be read since opening, and number of images tried."""
        return self.cache.bad_and_read()

    def remarks(self, at_most: int = 5) -> list[str]:
        """Sentences on what opening left out or decided."""
        return self.left_out.remarks_of(self.name)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The paths of the files, relative to the folder of the split."""
        return self.listing.fingerprint_parts()

    def at_full_size(self) -> "Folder":
        """These images in their original sizes, without a cache of pixels."""
        options = replace(self.options, max_side=None, cache_megabytes=0, copies=None)
        cache = Cache(len(self))
        return Folder(self.name, self.listing, options, cache, self.reasons, self._substitute_group, self._total)

    def subset(self, indices: Sequence[int]) -> "Folder":
        """These images only, in this order, without files that do not have the header of an image."""
        root, files = self.listing.root, self.listing.files
        checked = _check(root, [files[index] for index in indices], self.options)
        kept = [index for index in indices if files[index] in checked.sizes]
        listing = replace(self.listing, files=[files[index] for index in kept])
        cache = _make_cache([checked.sizes[file] for file in listing.files], self.options.cache_megabytes)
        substitute_group = None if self._substitute_group is None else self._substitute_group[kept]
        return Folder(self.name, listing, self.options, cache, self.reasons | checked.reasons, substitute_group)


def open_folder(folder: Path, split: Split, options: FolderOptions | None = None) -> Folder:
    """The images of a split of a folder.

    Labels are the first-level sub-folders if there are at least two and most images are in one; images beside them have
    the label -1. A folder with `train/` and `test/` (or `val/`) has its splits there. In any other folder a fifth of
    each class, chosen by a hash of the path, is the test split; without labels both splits contain all images. Of split
    all, images are named relative to `folder`, so that those of several splits differ.

    Raises:
        UotaError: there are no images, a single one, or none that can be read.
    """
    options = options or FolderOptions()
    found = find_readable(folder, options)
    if len(found.files) < 2:
        only = printable(found.files[0])
        raise UotaError(f"{folder} has a single readable image, {only}; at least two images are needed")
    return found.folder(list_split(folder, found.files, split))


class Readable(NamedTuple):
    """The readable images of a folder, before they are split.

    Attributes:
        root: the folder.
        files: paths relative to the folder, sorted.
        sizes: decoded size of each image in bytes; empty if there are too many files to check.
        reasons: why files and folders cannot be read.
        left_out: what else is in the folder.
        options: how images are read, with the estimated pixel range.
    """

    root: Path
    files: list[str]
    sizes: dict[str, int]
    reasons: dict[Path, str]
    left_out: LeftOut
    options: FolderOptions

    def folder(self, listing: Listing, substitute_group: NDArray[np.int64] | None = None) -> Folder:
        """A source of the listed images."""
        inner = listing.root.relative_to(self.root).as_posix()
        within = [self.sizes.get(file if inner == "." else f"{inner}/{file}", 0) for file in listing.files]
        listing.left_out.add_all(self.left_out)
        cache = _make_cache(within, self.options.cache_megabytes)
        total = len(self.files) + len(self.reasons)
        return Folder(str(self.root), listing, self.options, cache, self.reasons, substitute_group, total)


def find_readable(folder: Path, options: FolderOptions) -> Readable:
    """The readable images in a folder, at any depth.

    Raises:
        UotaError: there are no images, or none can be read.
    """
    found = find_images(folder)
    if not found.files:
        raise UotaError(f"{folder} has no images{_what_else(found.left_out, found.closed)}")
    if len(found.files) > CHECKED_AT_OPENING:
        checked, files, deep = Checked({}, {}, [], []), found.files, found.files
    else:
        checked = _check(folder, found.files, options)
        files, deep = [file for file in found.files if file in checked.sizes], checked.deep
    for file in checked.several:
        found.left_out.add("image(s) have several frames or pages, of which the first is used", file)
    if not files:
        path, reason = next(iter(checked.reasons.items()))
        raise UotaError(
            f"none of the {len(found.files)} image files in {folder} can be read; {printable(path)}: {reason}"
        )
    if options.pixel_range is None and (estimated := estimated_range(Listing(folder, deep, None), options)):
        options = replace(options, pixel_range=estimated)
        found.left_out.remarks.append(describe_pixel_range(estimated))
    closed = {folder / name: "permission denied, or a link to nothing" for name in found.closed}
    return Readable(folder, files, checked.sizes, closed | checked.reasons, found.left_out, options)


def _what_else(left_out: LeftOut, closed: list[str]) -> str:
    """What a folder without images contains instead, and which files count as images."""
    beside = [*left_out.sentences(), *([f"{len(closed)} cannot be entered: {closed[0]}"] if closed else [])]
    looked = f"; searched, at any depth, for {', '.join(EXTENSIONS)} and by content"
    return looked + (f"; it has {'; '.join(beside)}" if beside else "")


class Checked(NamedTuple):
    """Result of reading the headers of files.

    Attributes:
        sizes: decoded size of each image in bytes.
        reasons: why the other files cannot be read.
        deep: images of more than 8 bits.
        several: images of several frames or pages.
    """

    sizes: dict[str, int]
    reasons: dict[Path, str]
    deep: list[str]
    several: list[str]


def _check(folder: Path, files: list[str], options: FolderOptions) -> Checked:
    checked = Checked({}, {}, [], [])
    for file in files:
        path = folder / file
        try:
            header = _header(path, options)
        except UnreadableError as error:
            checked.reasons[path] = reason_of(error, path)
        else:
            height, width = options.size_of(header.height, header.width)
            checked.sizes[file] = options.channels * height * width
            if header.deep:
                checked.deep.append(file)
            if header.several:
                checked.several.append(file)
    return checked


def _header(path: Path, options: FolderOptions) -> Header:
    """As `read_header`, but a file without permission is unreadable, and errors of the disk are retried."""

    def read() -> Header:
        try:
            return read_header(path, options.max_side, options.channels, options.image_megabytes)
        except PermissionError as error:
            raise UnreadableError("permission denied; ask its owner") from error

    return patiently(read, path)


def _make_cache(sizes: list[int], megabytes: int) -> Cache:
    fits = all(sizes) and sum(sizes) <= megabytes * 10**6
    return Cache(len(sizes), np.array(sizes, dtype=np.int64) if fits else None)
