"""Precision of the computations, whatever dtype autocast chose; constants on a device; and seeds of random draws."""

from collections.abc import Sequence

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Cast half precision to float32; leave float32 and float64 as they are."""
    return x.to(wide(x.dtype))


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, and float32 for every other dtype."""
    return dtype if dtype == torch.float64 else torch.float32


def exact_device(device: torch.device) -> torch.device:
    """Return the device itself, or the processor where the device has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


def constant(values: Sequence[object], like: Tensor) -> Tensor:
    """Make a tensor of numbers in the dtype and on the device of another, without waiting for the device.

    `torch.tensor(values, device=...)` and `like.new_tensor(values)` wait.
    """
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)


def indices(places: Sequence[int], like: Tensor) -> Tensor:
    """Make a tensor of indices on the device of another, without waiting for it, as a list as an index does."""
    return torch.tensor(list(places)).to(like.device, non_blocking=True)


def rows_at(x: Tensor, places: Sequence[int]) -> Tensor:
    """Select rows by their indices, without waiting for the device as `x[list(places)]` does."""
    if isinstance(places, range) and places.step == 1:
        return x[places.start : places.stop]
    return x[indices(places, x)]


def seed_of(*numbers: int) -> int:
    """Combine integers, such as a run's seed, a step and a rank, into a seed; the same in every process.

    What a step draws then follows from its place alone, and a resumed run draws what an uninterrupted one would.
    """
    return hash(numbers) % 2**63  # Python randomises the hashes of strings, not those of integers
