"""What the processes of one loader know together of a folder's images: their pixels, and which cannot be read."""

import mmap
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

UNREAD, BAD, SOUND = 0, -1, -2


class Cache:
    """Decoded images in memory that forked processes share, filled as they are read.

    An anonymous mapping, not a shared-memory file: it needs no room in /dev/shm and takes memory only as it fills.
    Two processes may read the same image at once; they write the same bytes. A copy made by pickle starts empty,
    but knows the bad images.
    """

    def __init__(self, count: int, sizes: NDArray[np.int64] | None = None) -> None:
        """Room for `count` images of these numbers of bytes; without sizes no pixels are kept."""
        self.count, self.sizes = count, sizes
        # Per image: UNREAD, BAD, SOUND, or its height and width in one number, which is written at one blow.
        self.state = np.frombuffer(mmap.mmap(-1, max(1, count) * 8), dtype=np.int64)
        if sizes is not None:
            self.ends = sizes.cumsum()
            self.pixels = torch.frombuffer(mmap.mmap(-1, max(1, int(sizes.sum()))), dtype=torch.uint8)

    def get(self, index: int) -> UInt8[Tensor, "channels height width"] | None:
        """An image that was put here, as a view of the memory; None where there is none."""
        state = int(self.state[index])
        if self.sizes is None or state <= UNREAD:
            return None
        end, size = int(self.ends[index]), int(self.sizes[index])
        height, width = divmod(state, 1 << 32)
        return self.pixels[end - size : end].view(-1, height, width)

    def put(self, index: int, image: UInt8[Tensor, "channels height width"]) -> None:
        """Keep an image, if there is room of its size; else that it can be read."""
        if self.sizes is None or image.numel() != self.sizes[index]:
            self.state[index] = SOUND
            return
        end = int(self.ends[index])
        self.pixels[end - image.numel() : end] = image.flatten()
        self.state[index] = (image.shape[1] << 32) + image.shape[2]

    def mark_bad(self, index: int) -> None:
        """Remember that an image cannot be read."""
        self.state[index] = BAD

    def bad(self) -> list[int]:
        """Images that cannot be read, as far as any process has seen."""
        return np.flatnonzero(self.state == BAD).tolist()

    def bad_and_read(self) -> tuple[int, int]:
        """How many images cannot be read, and how many were tried, by any process."""
        tried = np.count_nonzero(self.state)
        return int(np.count_nonzero(self.state == BAD)), int(tried)

    def is_bad(self, index: int) -> bool:
        """Whether an image was found unreadable."""
        return bool(self.state[index] == BAD)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a process that is not forked."""
        return {"count": self.count, "sizes": self.sizes, "bad": self.bad()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """An empty cache that knows the bad images."""
        self.__init__(state["count"], state["sizes"])  # type: ignore[misc]
        self.state[state["bad"]] = BAD
