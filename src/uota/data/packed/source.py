"""The source of images packed in larger files, such as tar shards and saved data sets."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from uota.data.files.cache import Cache
from uota.data.files.decoded import Decoded, Files, FolderOptions, estimated_range
from uota.data.files.left_out import LeftOut
from uota.data.files.pixel_range import describe_pixel_range
from uota.data.source import Source


class PackedSource(Source):
    """Images read one by one from their place in larger files; nothing is unpacked, and none is kept in memory.

    An image that turns out to be unreadable is replaced by the next readable one of its class, and named in `skipped`.

    Attributes:
        entries: the encoded images, ordered by larger file.
        left_out: what else is in the larger files and is not used.
    """

    def __init__(
        self,
        name: str,
        entries: Files,
        labels: Int64[np.ndarray, " len"] | None,
        classes: list[str] | None,
        options: FolderOptions,
        parts: Int64[np.ndarray, " parts"] | None = None,
        empty: Sequence[Path] = (),
        left_out: LeftOut | None = None,
    ) -> None:
        """Use `open_source`; `empty` lists larger files without images."""
        self.name, self.channels, self.classes = name, options.channels, classes
        self.entries, self.parts, self._empty = entries, parts, list(empty)
        self.left_out = left_out or LeftOut()
        if options.pixel_range is None and (estimated := estimated_range(entries, options)):
            options = replace(options, pixel_range=estimated)
            self.left_out.remarks.append(describe_pixel_range(estimated))
        self.options, self.pixel_range = options, options.pixel_range
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.decoded = Decoded(name, entries, options, Cache(len(entries)), labels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.entries)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """Return decoded images by their indices.

        Raises:
            UotaError: no image can be read.
        """
        return [self.decoded.image(int(index)) for index in indices]

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far, by this process or its forked workers."""
        return self._empty + self.decoded.unreadable_paths()

    def path(self, index: int) -> Path:
        """Path of the larger file, followed by the image's name in it."""
        return self.entries.path(index)

    def display_name(self, index: int) -> str:
        """The path as text."""
        return str(self.path(index))

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images that are known to be unreadable."""
        return self.decoded.unreadable(images)

    def unreadable_counts(self) -> tuple[int, int]:
        """Number of images that could not be read since opening, and number of images tried."""
        return self.decoded.cache.bad_and_read()

    def remarks(self, at_most: int = 5) -> list[str]:
        """Sentences on what opening left out or decided."""
        return self.left_out.remarks_of(self.name)

    def at_full_size(self) -> "PackedSource":
        """These images in their original sizes."""
        labels = None if self.labels is None else self.labels.numpy()
        options = replace(self.options, max_side=None, copies=None)
        return PackedSource(self.name, self.entries, labels, self.classes, options, self.parts, self._empty)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Names and places of the images in the larger files."""
        return self.entries.fingerprint_parts()
