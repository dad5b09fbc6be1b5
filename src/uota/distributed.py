"""The only place that talks to other ranks. With one process every function returns its argument, or what it holds.

Ranks need not hold as many images each: a last batch may be uneven. Each holds at least one.
"""

from typing import Any, NamedTuple

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


def mean_over_ranks(*each: Tensor) -> list[Tensor]:
    """Means of tensors over ranks, elementwise, in one exchange. No gradient passes."""
    if world_size() == 1:
        return list(each)
    mean = sum_over_ranks(torch.cat([x.flatten() for x in each])) / world_size()
    return [part.view_as(x) for x, part in zip(each, mean.split([x.numel() for x in each]), strict=True)]


def count_over_ranks(x: Tensor) -> Tensor:
    """How many entries the `x` of all ranks have, in the dtype of `x`."""
    return sum_over_ranks(torch.full((), x.numel(), dtype=x.dtype, device=x.device))


def part_of_mean(x: Tensor) -> Tensor:
    """The mean over the entries of all ranks, as a mean over ranks of what this returns on each.

    So a loss, of which DistributedDataParallel averages the gradients over ranks, is that of the global batch. Where
    ranks have as many entries each, it is the mean of `x`.
    """
    return x.mean() if world_size() == 1 else x.sum() * (world_size() / count_over_ranks(x.detach()))


class Gathered(NamedTuple):
    """Rows of all ranks, in the order of ranks, and the place of this rank's first among them."""

    rows: Tensor
    first: int


def gather_rows(x: Tensor) -> Gathered:
    """Rows (rows, …) of all ranks. Gradients flow back to the rank a row came from, summed over the ranks that used it.

    Rows are exchanged, and sums of their gradients: as much as one sum over ranks of all of them.
    """
    if world_size() == 1:
        return Gathered(x, 0)
    sizes = _sizes(x)
    return Gathered(_GatherRows.apply(x, sizes), sum(sizes[: rank()]))


def share_of_rows(x: Tensor) -> tuple[int, int]:
    """The place of this rank's first row among those of all ranks, and how many those are."""
    sizes = _sizes(x)
    return sum(sizes[: rank()]), sum(sizes)


def from_rank_before(x: Tensor) -> Tensor:
    """The rows that the rank before this one gives, as many; for the first rank that is the last. No gradient."""
    ranks = world_size()
    if ranks == 1:
        return x
    to, by = [0] * ranks, [0] * ranks
    to[(rank() + 1) % ranks] = by[rank() - 1] = len(x)
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    dist.all_to_all_single(out, x, by, to)
    return out


def gather_objects(x: list[Any]) -> list[Any]:
    """Items of all ranks, in the order of ranks; whatever pickle takes."""
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


def _sizes(x: Tensor) -> list[int]:
    """How many rows each rank has."""
    if world_size() == 1:
        return [len(x)]
    own = torch.tensor([len(x)], device=x.device)
    sizes = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(sizes, own)
    return torch.cat(sizes).tolist()


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        longest = x.new_zeros(max(sizes), *x.shape[1:])  # all_gather takes as many of each
        longest[: len(x)] = x
        parts = [torch.empty_like(longest) for _ in sizes]
        dist.all_gather(parts, longest)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient, own = gradients[0].contiguous(), ctx.sizes[rank()]
        parts = gradient.new_empty(world_size() * own, *gradient.shape[1:])
        dist.all_to_all_single(parts, gradient, [own] * world_size(), ctx.sizes)
        return parts.unflatten(0, (world_size(), own)).sum(0), None


class _DifferentiableSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return sum_over_ranks(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return sum_over_ranks(gradients[0])
