"""Images that lie packed in larger files: the source of tar shards and of saved data sets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.data.files.cache import Cache
from uota.data.files.decoded import Decoded, Files, FolderOptions, estimated_range
from uota.data.files.left_out import LeftOut
from uota.data.files.pixel_range import describe_pixel_range
from uota.data.files.pixels import PixelRange


class PackedSource:
    """Images read one by one, by their place in larger files; nothing is unpacked, and none stays in memory.

    One that turns out unreadable is replaced by the next readable one of its class, and is named in `skipped`.

    Attributes:
        files: the images, those of one larger file one after another.
        parts: number of images in each larger file; None: they are not parted.
        left_out: what else is in them and is not used.
    """

    def __init__(
        self,
        name: str,
        files: Files,
        labels: Int64[np.ndarray, " len"] | None,
        classes: list[str] | None,
        options: FolderOptions,
        parts: Int64[np.ndarray, " parts"] | None = None,
        empty: Sequence[Path] = (),
        left_out: LeftOut | None = None,
    ) -> None:
        """Use `open_source`; `empty` names larger files that have no images."""
        self.name, self.channels, self.classes = name, options.channels, classes
        self.files, self.parts, self._empty = files, parts, list(empty)
        self.left_out = left_out or LeftOut()
        if options.pixel_range is None and (estimated := estimated_range(files, options)):
            options = replace(options, pixel_range=estimated)
            self.left_out.remarks.append(describe_pixel_range(estimated))
        self.options = options
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.decoded = Decoded(name, files, options, Cache(len(files)), labels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far, by this process or its forked workers."""
        return self._empty + self.decoded.unreadable()

    @property
    def pixel_range(self) -> PixelRange | None:
        """Values of black and white; None where no image that was looked at has more than 8 bits."""
        return self.options.pixel_range

    def path(self, index: int) -> Path:
        """What a person knows an image by: its larger file, then its name in there."""
        return self.files.path(index)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images.

        Raises:
            UotaError: not one image can be read.
        """
        return [self.decoded.image(int(index)) for index in indices]

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """None: nothing is known of crops of these images."""
        return None
