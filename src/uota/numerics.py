"""In what precision the mathematics is done, whatever autocast gave it."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Half precisions as float32; float32 and float64 as they are."""
    return x.to(wide(x.dtype))


def wide(dtype: torch.dtype) -> torch.dtype:
    """Float64 for float64, float32 for every other dtype."""
    return dtype if dtype == torch.float64 else torch.float32
