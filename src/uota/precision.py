"""In what precision the mathematics is done, whatever autocast gave it."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Half precisions as float32; float32 and float64 as they are."""
    return x if x.dtype == torch.float64 else x.float()
