"""Communication between ranks; nothing else in the package uses `torch.distributed`. With one process nothing is sent.

Ranks may hold different numbers of images, as in a last batch, but at least one each.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")
Result = TypeVar("Result")

# How long a process waits for another one at most.
PATIENCE = timedelta(days=1)

_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def on_this_rank() -> Iterator[None]:
    """Compute as with one process: nothing in this module sends, for work that other ranks do not share."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


@contextmanager
def joined_ranks() -> Iterator[None]:
    """Exchange with the other processes that torchrun started, if it did, for as long as this lasts.

    What is exchanged is on CPUs; each process has an accelerator of its machine to itself, if there are as many.
    """
    if dist.is_initialized() or "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    # The first process may work long on what the others have sent before they hear from it again.
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return the number of ranks."""
    if _alone.get():
        return 1
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the rank of this process."""
    return dist.get_rank() if world_size() > 1 else 0


def sum_over_ranks(x: Tensor) -> Tensor:
    """Sum `x` over ranks, elementwise and without gradient."""
    return _reduced(x, dist.ReduceOp.SUM)


def max_over_ranks(x: Tensor) -> Tensor:
    """Return the maximum of `x` over ranks, elementwise and without gradient."""
    return _reduced(x, dist.ReduceOp.MAX)


def mean_over_ranks(*each: Tensor) -> list[Tensor]:
    """Average tensors over ranks, elementwise and without gradient, in one exchange."""
    if world_size() == 1:
        return list(each)
    mean = sum_over_ranks(torch.cat([x.flatten() for x in each])) / world_size()
    return [part.view_as(x) for x, part in zip(each, mean.split([x.numel() for x in each]), strict=True)]


def count_over_ranks(x: Tensor) -> Tensor:
    """Count the entries of `x` on all ranks, in the dtype of `x`."""
    return sum_over_ranks(torch.full((), x.numel(), dtype=x.dtype, device=x.device))


def part_of_mean(x: Tensor) -> Tensor:
    """Return this rank's part of the mean over the entries of all ranks: the average of the parts is that mean.

    DistributedDataParallel averages gradients over ranks, so a loss made with this function is that of the global
    batch. If ranks have equally many entries, the part is the mean of `x`.
    """
    return x.mean() if world_size() == 1 else x.sum() * (world_size() / count_over_ranks(x.detach()))


class Gathered(NamedTuple):
    """Rows of all ranks, in the order of ranks, and the index of this rank's first row among them."""

    rows: Tensor
    first: int


def gather_rows(x: Tensor) -> Gathered:
    """Gather the rows (rows, …) of all ranks; gradients flow back to each row's rank, summed over ranks.

    The exchange of rows and of their gradients costs as much as one all-reduce of all rows.
    """
    if world_size() == 1:
        return Gathered(x, 0)
    sizes = _sizes(x)
    return Gathered(_GatherRows.apply(x, sizes), sum(sizes[: rank()]))


def share_of_rows(x: Tensor) -> tuple[int, int]:
    """Return the index of this rank's first row among the rows of all ranks, and their number."""
    sizes = _sizes(x)
    return sum(sizes[: rank()]), sum(sizes)


def from_rank_before(x: Tensor) -> Tensor:
    """Receive the rows of the previous rank (of the last one on the first rank), equally many, without gradient."""
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
    """Gather the items of all ranks, in the order of ranks; they must be picklable."""
    if world_size() == 1:
        return x
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, x)
    return [item for part in parts for item in part]


def in_turns(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield the results of work on all items, in their order, on every rank; each is computed by one rank.

    Args:
        work: nothing that it does is sent; its results must be picklable.
        items: the same on every rank.
    """
    for first in range(0, len(items), world_size()):
        mine = first + rank()
        made = []
        if mine < len(items):
            with on_this_rank():
                made = [work(items[mine])]
        yield from gather_objects(made)


def differentiable_sum(x: Tensor) -> Tensor:
    """Sum `x` over ranks; the gradients of all ranks reach the `x` of each."""
    return _DifferentiableSum.apply(x) if world_size() > 1 else x


def _reduced(x: Tensor, operation: Any) -> Tensor:
    if world_size() == 1:
        return x
    x = x.detach().clone().contiguous()
    dist.all_reduce(x, operation)
    return x


def _sizes(x: Tensor) -> list[int]:
    """Return the number of rows of each rank."""
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
        longest = x.new_zeros(max(sizes), *x.shape[1:])  # all_gather takes equally many rows of each rank
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
