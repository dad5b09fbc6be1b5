"""A folder of images: flat, or one sub-folder per class."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.console import printable
from uota.data.files.cache import Cache
from uota.data.files.decode import Header, UnreadableError, read_header, reason_of
from uota.data.files.decoded import Decoded, FolderOptions, estimated_range
from uota.data.files.formats import EXTENSIONS
from uota.data.files.left_out import LeftOut
from uota.data.files.listing import Listing, find_images, list_split
from uota.data.files.patience import patiently
from uota.data.files.pixel_range import describe_pixel_range
from uota.data.files.pixels import PixelRange
from uota.data.source import Split
from uota.errors import UotaError

# Up to so many files the header of each is read at opening (some seconds), to leave out what is no image at once.
CHECKED_AT_OPENING = 20_000


class Folder:
    """Images of one split of a folder, decoded when asked for.

    A file that turns out unreadable is replaced by the next readable one of its class (of its group, where there are
    groups), the same in every process, and is named in `skipped`. Files whose header is no image's are left out at
    opening, in folders of up to `CHECKED_AT_OPENING` files.

    Attributes:
        reasons: why files in `skipped` cannot be read, as far as opening found out.
        total: files of the whole folder, of all splits, that are called images.
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
        """Use `open_folder`; `substitute_group` numbers the images, those of one number stand in for each other."""
        self.name, self.channels, self.classes = name, options.channels, listing.classes
        labels = listing.labels()
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.root, self.files = listing.root, listing.files
        self.options, self.cache = options, cache
        self.reasons, self.left_out = reasons, listing.left_out
        self.total = len(listing) + len(reasons) if total is None else total
        self._substitute_group = (
            np.array(labels, dtype=np.int64) if substitute_group is None and labels is not None else substitute_group
        )
        self.decoded = Decoded(name, listing, options, cache, self._substitute_group)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def skipped(self) -> list[Path]:
        """Files and folders that could not be read so far, by this process or its forked workers."""
        return [*self.reasons, *(self.path(index) for index in self.cache.bad())]

    @property
    def pixel_range(self) -> PixelRange | None:
        """Values of black and white; None where no image has more than 8 bits."""
        return self.options.pixel_range

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
        checked = _check(self.root, [self.files[index] for index in indices], self.options)
        kept = [index for index in indices if self.files[index] in checked.sizes]
        listing = Listing(self.root, [self.files[index] for index in kept], self.classes, self.left_out)
        cache = _make_cache([checked.sizes[file] for file in listing.files], self.options.cache_megabytes)
        substitute_group = None if self._substitute_group is None else self._substitute_group[kept]
        return Folder(self.name, listing, self.options, cache, self.reasons | checked.reasons, substitute_group)

    @property
    def keeps(self) -> bool:
        """Whether images that were read stay in memory."""
        return self.cache.sizes is not None


def open_folder(folder: Path, split: Split, options: FolderOptions | None = None) -> Folder:
    """The images of a split of a folder.

    Labels are the first-level sub-folders, where most images lie in one and there are at least two; the others have the
    label -1. A folder with `train/` and `test/` (or `val/`) has its splits there; of any other a fifth of each class is
    the test split, by a hash of the path; without labels both splits are all images.

    Raises:
        UotaError: there are no images, a single one, or none that can be read.
    """
    options = options or FolderOptions()
    found = find_readable(folder, options)
    if len(found.files) < 2:
        only = printable(found.files[0])
        raise UotaError(f"{folder} has a single readable image, {only}: at least two images are needed.")
    return found.folder(list_split(folder, found.files, split))


class Readable(NamedTuple):
    """The images of a folder, before they are split.

    Attributes:
        root: the folder.
        files: relative to it, sorted.
        sizes: bytes of each when decoded; empty where there are too many to look at.
        reasons: why files and folders cannot be read.
        left_out: what else is there.
        options: how images are read, with what was estimated of them.
    """

    root: Path
    files: list[str]
    sizes: dict[str, int]
    reasons: dict[Path, str]
    left_out: LeftOut
    options: FolderOptions

    def folder(self, listing: Listing, substitute_group: NDArray[np.int64] | None = None) -> Folder:
        """Those that are listed."""
        inner = listing.root.relative_to(self.root).as_posix()
        within = [self.sizes.get(file if inner == "." else f"{inner}/{file}", 0) for file in listing.files]
        listing.left_out.add_all(self.left_out)
        cache = _make_cache(within, self.options.cache_megabytes)
        total = len(self.files) + len(self.reasons)
        return Folder(str(self.root), listing, self.options, cache, self.reasons, substitute_group, total)


def find_readable(folder: Path, options: FolderOptions) -> Readable:
    """The images under a folder.

    Raises:
        UotaError: there are none, or none that can be read.
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
    closed = {folder / name: "it may not be entered, or is a link to nothing" for name in found.closed}
    return Readable(folder, files, checked.sizes, closed | checked.reasons, found.left_out, options)


def _what_else(left_out: LeftOut, closed: list[str]) -> str:
    """What a folder without images holds instead, and what it should."""
    beside = [*left_out.sentences(), *([f"{len(closed)} cannot be entered: {closed[0]}"] if closed else [])]
    looked = f": looked, at any depth, for {', '.join(EXTENSIONS)} and by content"
    return looked + (f"; it has {'; '.join(beside)}" if beside else "")


class Checked(NamedTuple):
    """What headers say.

    Attributes:
        sizes: bytes of each image when decoded.
        reasons: why others cannot be read.
        deep: those of more than 8 bits.
        several: those of several frames or pages.
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
            checked.sizes[file] = options.channels * header.height * header.width
            if header.deep:
                checked.deep.append(file)
            if header.several:
                checked.several.append(file)
    return checked


def _header(path: Path, options: FolderOptions) -> Header:
    """As `read_header`; a file without permission is left out, an error of the disk is waited out."""

    def read() -> Header:
        try:
            return read_header(path, options.max_side, options.channels, options.image_megabytes)
        except PermissionError as error:
            raise UnreadableError("it may not be read: ask its owner") from error

    return patiently(read, path)


def _make_cache(sizes: list[int], megabytes: int) -> Cache:
    fits = all(sizes) and sum(sizes) <= megabytes * 10**6
    return Cache(len(sizes), np.array(sizes, dtype=np.int64) if fits else None)
