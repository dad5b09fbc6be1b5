"""Precision of the computations, whatever dtype autocast chose; and seeds of what they draw at random."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Cast half precision to float32; leave float32 and float64 as they are."""
    return x.to(wide(x.dtype))


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, and float32 for every other dtype."""
    return dtype if dtype == torch.float64 else torch.float32


def seed_of(*numbers: int) -> int:
    """Combine integers, such as a run's seed, a step and a rank, into a seed; the same in every process.

    What a step draws then follows from its place alone, and a resumed run draws what an uninterrupted one would.
    """
    return hash(numbers) % 2**63  # Python randomises the hashes of strings, not those of integers
