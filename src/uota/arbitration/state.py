"""What the stateful parts of an arbiter need: a lock, modes of their own, casts that keep precision, recomputation."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, is_dataclass
from threading import RLock
from typing import Any, TypeVar, cast

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from uota.numerics import wide

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
# Calls whose result is kept for their recomputation; each is a few numbers per view.
REMEMBERED = 64
# The modes by which selective checkpointing keeps the results of operations.
RECORDERS = tuple(
    getattr(torch.utils.checkpoint, name)
    for name in ("_CachedTorchDispatchMode", "_CachingTorchDispatchMode")
    if hasattr(torch.utils.checkpoint, name)
)


def own_modes(device: torch.device) -> AbstractContextManager[Any]:
    """A block without gradients, and without the caller's inference mode, autocast and gradient checkpointing.

    What is made in inference mode can never be trained, and autocast would compute in half precision. Checkpointing
    counts the tensors that are saved for a backward pass and, where it is selective, the operations; but a call that
    is repeated in the backward pass does less than it did before.
    """
    recorded = any(isinstance(mode, RECORDERS) for mode in _get_current_dispatch_mode_stack())
    hooked = torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    if recorded or hooked or torch.is_inference_mode_enabled() or torch.is_autocast_enabled(device.type):
        return _without_callers_modes(device, recorded, hooked)
    return torch.no_grad()  # nearly always, and it costs a tenth


@contextmanager
def _without_callers_modes(device: torch.device, recorded: bool, hooked: bool) -> Iterator[None]:
    with ExitStack() as stack:
        # In this order: leaving inference mode switches gradients on.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if recorded:
            stack.enter_context(_disable_current_modes())
        if hooked:  # hooks of its own hide those around; they detach, as a tensor that holds itself is never freed
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(Tensor.detach, _itself))
        yield


def _itself(x: Tensor) -> Tensor:
    return x


def never_compiled(function: F) -> F:
    """Decorate what decides on values, and learns in each call, so that `torch.compile` leaves it alone.

    As `torch.compiler.disable`, which imports the compiler, and that takes as long as importing torch. The decorator
    of torch's own optimisers imports it in the first call only.
    """
    return cast(F, getattr(torch, "_disable_dynamo", torch.compiler.disable)(function))


def may_be_repeated() -> bool:
    """Whether gradient checkpointing may repeat what the caller does now: it has hooks for saved tensors, or, where it
    is reentrant, no gradients."""
    if torch.is_inference_mode_enabled():
        return False
    return not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def in_backward() -> bool:
    """Whether a backward pass runs in this thread: what is called there recomputes an earlier call."""
    return torch._C._current_graph_task_id() != -1


def cast_at_least_float32(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function for `Module._apply` that moves tensors as `function` does, but casts floats to float32 or float64 only
    and leaves whole numbers as they are."""

    def applied(x: Tensor) -> Tensor:
        result = function(x)
        dtype = wide(result.dtype) if x.is_floating_point() and result.is_floating_point() else x.dtype
        return result if result.dtype == dtype else x.to(result.device, dtype)

    return applied


class Lock:
    """A lock for one thread at a time. A copy or a pickle of its owner gets a new one."""

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return Lock, ()


@dataclass(frozen=True)
class Call:
    """A call that may be repeated.

    Attributes:
        shape, dtype: of the input.
        total: the sum of the input's entries.
        result: what the call returned, not a copy.
        versions: how often each tensor of the result had been changed in place by then.
    """

    shape: torch.Size
    dtype: torch.dtype
    total: float
    result: Any
    versions: list[int]

    def distance(self, total: float) -> float:
        """How far another input's sum is from this one's; a recomputed input may differ by rounding."""
        if self.total == total:
            return 0.0
        distance = abs(self.total - total)
        return distance if distance == distance else math.inf

    def again(self) -> Any:
        """The result once more.

        Raises:
            ValueError: the caller has changed it.
        """
        if self.versions != _versions(self.result):
            raise ValueError(
                "weights that an arbiter gave inside gradient checkpointing have been changed in place, so that they "
                "cannot be given again in the backward pass; change a copy, weights.clone()"
            )
        return _copied(self.result)


class Recall:
    """Results of the latest calls, given again when gradient checkpointing repeats a call in the backward pass.

    A repeated call is recognised by its input: the same shape, and of all such calls the one with the nearest sum. The
    sum costs nothing, because it is needed to find NaN and infinite entries. A copy or a pickle of the owner
    remembers nothing.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=REMEMBERED)

    def __call__(self, x: Tensor, total: float, compute: Callable[[], T], repeatable: bool) -> T:
        """The result of `compute()`, or in a backward pass that of the forward pass.

        Args:
            x, total: the input, and the sum of its entries.
            compute: what a first call does.
            repeatable: whether the call `may_be_repeated`; if not, its result is not kept.

        Raises:
            ValueError: the caller has changed the forward pass's result in place.
        """
        if not in_backward():
            result = compute()
            if repeatable:
                self._calls.append(Call(x.shape, x.dtype, total, result, _versions(result)))
            return result
        alike = [call for call in self._calls.copy() if (call.shape, call.dtype) == (x.shape, x.dtype)]
        if not alike:
            return compute()
        with own_modes(x.device):
            return min(reversed(alike), key=lambda call: call.distance(total)).again()  # of equal ones the latest

    def __reduce__(self) -> tuple[Any, ...]:
        return Recall, ()


def _versions(result: Any) -> list[int]:
    """How often each tensor of a result, a dataclass, has been changed in place."""
    versions = []
    for value in vars(result).values():
        if isinstance(value, Tensor):
            versions.append(value._version)
        elif is_dataclass(value):
            versions += _versions(value)
    return versions


def _copied(x: Any) -> Any:
    """A result with tensors of its own."""
    if isinstance(x, Tensor):
        return x.clone()
    if is_dataclass(x) and not isinstance(x, type):
        return type(x)(**{name: _copied(value) for name, value in vars(x).items()})
    return x
