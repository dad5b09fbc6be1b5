"""Shared memory for the processes of a loader: decoded images, and which images cannot be read."""

import mmap
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

UNREAD, BAD, READABLE = 0, -1, -2


class Cache:
    """Decoded images in memory that forked processes share, filled as they are read.

    The memory is an anonymous mapping, not a shared-memory file: it needs no room in /dev/shm and takes memory only as
    it fills. Two processes may read the same image at once; they write the same bytes. A pickled copy starts empty but
    knows the bad images.
    """

    def __init__(self, count: int, sizes: NDArray[np.int64] | None = None) -> None:
        """Reserve room for `count` images of these sizes in bytes; without sizes no pixels are kept."""
        self.count, self.sizes = count, sizes
        # Per image: UNREAD, BAD, READABLE, or its height and width in one number, so that writing them is atomic.
        self.state = np.frombuffer(mmap.mmap(-1, max(1, count) * 8), dtype=np.int64)
        if sizes is not None:
            self.ends = sizes.cumsum()
            self.pixels = torch.frombuffer(mmap.mmap(-1, max(1, int(sizes.sum()))), dtype=torch.uint8)

    def get(self, index: int) -> UInt8[Tensor, "channels height width"] | None:
        """A cached image, as a view of the memory; None if it is not in the cache."""
        state = int(self.state[index])
        if self.sizes is None or state <= UNREAD:
            return None
        end, size = int(self.ends[index]), int(self.sizes[index])
        height, width = divmod(state, 1 << 32)
        return self.pixels[end - size : end].view(-1, height, width)

    def put(self, index: int, image: UInt8[Tensor, "channels height width"]) -> None:
        """Keep an image if there is room of its size; else remember that it can be read."""
        if self.sizes is None or image.numel() != self.sizes[index]:
            self.state[index] = READABLE
            return
        end = int(self.ends[index])
        self.pixels[end - image.numel() : end] = image.flatten()
        self.state[index] = (image.shape[1] << 32) + image.shape[2]

    def mark_bad(self, index: int) -> None:
        """Remember that an image cannot be read."""
        self.state[index] = BAD

    def bad(self) -> list[int]:
        """Images that any process found to be unreadable."""
        return np.flatnonzero(self.state == BAD).tolist()

    def bad_and_read(self) -> tuple[int, int]:
        """Number of images that cannot be read, and of images tried, by any process."""
        tried = np.count_nonzero(self.state)
        return int(np.count_nonzero(self.state == BAD)), int(tried)

    def is_bad(self, index: int) -> bool:
        """Whether an image was found unreadable."""
        return bool(self.state[index] == BAD)

    def __getstate__(self) -> dict[str, Any]:
        """State for a process that is not forked."""
        return {"count": self.count, "sizes": self.sizes, "bad": self.bad()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start empty, but with the bad images marked."""
        self.__init__(state["count"], state["sizes"])  # type: ignore[misc]
        self.state[state["bad"]] = BAD
