"""Sources of random images in memory."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor


class MemorySource:
    """Random images; by its ground truth, crops that start in the top row are outliers."""

    def __init__(self, sizes: Sequence[tuple[int, int, int]], truth: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        self.stored = [torch.randint(0, 256, size, generator=generator).to(torch.uint8) for size in sizes]
        self.has_ground_truth = truth
        self.labels = torch.arange(len(self.stored)) % 3

    def __len__(self) -> int:
        return len(self.stored)

    def images(self, indices: Sequence[int]) -> list[Tensor]:
        return [self.stored[index] for index in indices]

    def truth(self, index: Tensor, boxes: Tensor) -> Tensor | None:
        return boxes[..., 0] == 0 if self.has_ground_truth else None


@pytest.fixture
def small_source() -> MemorySource:
    """Twelve grey images of 28x28."""
    return MemorySource([(1, 28, 28)] * 12)


@pytest.fixture
def large_source() -> MemorySource:
    """RGB images of different sizes."""
    return MemorySource([(3, 120, 160), (3, 150, 100), (3, 97, 97), (3, 300, 80)])


@pytest.fixture
def source_with_truth() -> MemorySource:
    """Grey images with ground truth for every crop."""
    return MemorySource([(1, 28, 28)] * 12, truth=True)
