"""Images that lie packed in larger files: the source of tar shards and of saved data sets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.data.cache import Cache
from uota.data.decoded import Decoded, Files, FolderOptions


class Packed:
    """Images read one by one, by their place in larger files; nothing is unpacked, and none stays in memory.

    One that turns out unreadable is replaced by the next readable one of its class, and is named in `skipped`.

    Attributes:
        files: the images, those of one larger file one after another.
        parts: number of images in each larger file; None: they are not parted.
    """

    def __init__(
        self,
        name: str,
        files: Files,
        labels: Int64[np.ndarray, " len"] | None,
        classes: list[str] | None,
        options: FolderOptions,
        parts: Int64[np.ndarray, " parts"] | None = None,
        left_out: Sequence[Path] = (),
    ) -> None:
        """Use `open_source`; `left_out` names what was found unreadable at opening."""
        self.name, self.channels, self.classes = name, options.channels, classes
        self.files, self.parts, self._left_out = files, parts, list(left_out)
        self.labels: Int64[Tensor, " len"] | None = None if labels is None else torch.tensor(labels)
        self.decoded = Decoded(name, files, options, Cache(len(files)), labels)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far, by this process or its forked workers."""
        return self._left_out + self.decoded.unreadable()

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
