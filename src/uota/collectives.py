"""The only place that talks to other ranks. With one process every function returns its argument.

Ranks hold batches of one size (training drops the last partial global batch), so that rows can be gathered.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


def sum_over_ranks(x: Tensor) -> Tensor:
    """Sum of `x` over ranks, elementwise. No gradient passes."""
    return _reduced(x, dist.ReduceOp.SUM)


def max_over_ranks(x: Tensor) -> Tensor:
    """Maximum of `x` over ranks, elementwise. No gradient passes."""
    return _reduced(x, dist.ReduceOp.MAX)


def mean_over_ranks(x: Tensor) -> Tensor:
    """Mean of `x` over ranks, elementwise. No gradient passes."""
    return sum_over_ranks(x) / world_size()


def gather_rows(x: Tensor) -> Tensor:
    """Rows of all ranks, in the order of ranks: (rows, …) → (ranks · rows, …). Gradients flow back to the rank a
    row came from, summed over the ranks that used it."""
    return _GatherRows.apply(x) if world_size() > 1 else x


def gather_objects(x: list[Any]) -> list[Any]:
    """Items of all ranks, in the order of ranks; whatever pickle takes, and not as many on each."""
    if world_size() == 1:
        return x
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, x)
    return [item for part in parts for item in part]


def differentiable_sum(x: Tensor) -> Tensor:
    """Sum of `x` over ranks; every rank's gradient reaches every rank's `x`."""
    return _DifferentiableSum.apply(x) if world_size() > 1 else x


def _reduced(x: Tensor, operation: Any) -> Tensor:
    if world_size() == 1:
        return x
    x = x.detach().clone().contiguous()
    dist.all_reduce(x, operation)
    return x


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        start = rank() * ctx.rows
        return sum_over_ranks(gradients[0])[start : start + ctx.rows]


class _DifferentiableSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return sum_over_ranks(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return sum_over_ranks(gradients[0])
