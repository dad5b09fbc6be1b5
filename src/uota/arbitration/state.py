"""Shared by the stateful parts of an arbiter: isolation from the caller's modes, locks, casts, recomputed calls."""

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
# Number of calls whose results are kept for recomputation; each is a few numbers per view.
REMEMBERED = 64
# Dispatch modes in which selective checkpointing records the results of operations.
RECORDERS = tuple(
    getattr(torch.utils.checkpoint, name)
    for name in ("_CachedTorchDispatchMode", "_CachingTorchDispatchMode")
    if hasattr(torch.utils.checkpoint, name)
)


def own_modes(device: torch.device) -> AbstractContextManager[Any]:
    """Run a block without gradients, and outside the caller's inference mode, autocast and gradient checkpointing.

    Tensors made in inference mode cannot be trained later, and autocast would compute in half precision. Checkpointing
    expects the recomputation to save as many tensors (and, if it is selective, to run the same operations) as the
    forward pass; but a repeated call of an arbiter does less than the first.
    """
    if torch.compiler.is_compiling():  # inside an arbiter's call, which has left the caller's modes already
        return torch.no_grad()
    recorded = any(isinstance(mode, RECORDERS) for mode in _get_current_dispatch_mode_stack())
    hooked = torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    if recorded or hooked or torch.is_inference_mode_enabled() or torch.is_autocast_enabled(device.type):
        return _without_callers_modes(device, recorded, hooked)
    return torch.no_grad()  # the common case, at a tenth of the cost


@contextmanager
def _without_callers_modes(device: torch.device, recorded: bool, hooked: bool) -> Iterator[None]:
    with ExitStack() as stack:
        # The order matters: leaving inference mode enables gradients.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if recorded:
            stack.enter_context(_disable_current_modes())
        if hooked:  # inner hooks replace the caller's; they detach, as a saved tensor that holds itself is never freed
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(Tensor.detach, _itself))
        yield


def _itself(x: Tensor) -> Tensor:
    return x


def never_compiled(reason: str) -> Callable[[F], F]:
    """Exclude a function from `torch.compile`, as `torch.compiler.disable(reason=reason)` does.

    That one imports the compiler at once, which takes as long as importing torch; the decorator of torch's own
    optimisers imports it in the first call.
    """

    def decorate(function: F) -> F:
        excluded = getattr(torch, "_disable_dynamo", torch.compiler.disable)(function)
        excluded._torchdynamo_disable, excluded._torchdynamo_disable_msg = True, reason  # for the compiler's messages
        return cast(F, excluded)

    return decorate


def may_be_repeated() -> bool:
    """Whether gradient checkpointing may repeat the current call in the backward pass.

    It sets hooks for saved tensors or, if it is reentrant, disables gradients.
    """
    if torch.is_inference_mode_enabled():
        return False
    return not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def in_backward() -> bool:
    """Whether this thread runs a backward pass, in which a call recomputes an earlier one.

    Nothing of an arbiter is compiled for a backward pass.
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def cast_at_least_float32(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Restrict a function for `Module._apply`: floats are cast to float32 or float64 only, integers are not cast."""

    def applied(x: Tensor) -> Tensor:
        result = function(x)
        dtype = wide(result.dtype) if x.is_floating_point() and result.is_floating_point() else x.dtype
        return result if result.dtype == dtype else x.to(result.device, dtype)

    return applied


class Lock:
    """A re-entrant lock that can be copied and pickled with its owner; the copy gets a new lock.

    In compiled code it does nothing; whoever calls that holds a lock.
    """

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        if not torch.compiler.is_compiling():
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        if not torch.compiler.is_compiling():
            self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return Lock, ()


class Compiled:
    """A function that is compiled in its first call; a copy or a pickle is compiled again.

    Args:
        function: defined in a module.
        options: of `torch.compile`.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._function, self._options = function, options
        self._compiled: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            self._compiled = torch.compile(self._function, **self._options)
        return self._compiled(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled, (self._function, self._options)


@dataclass(frozen=True)
class Call:
    """A call that gradient checkpointing may repeat.

    Attributes:
        shape, dtype: shape and dtype of the input.
        total: sum of the input's entries.
        result: what the call returned, not a copy of it.
        versions: version counter of each tensor of the result, which counts changes in place.
    """

    shape: torch.Size
    dtype: torch.dtype
    total: Tensor
    result: Any
    versions: list[int]

    def distance(self, total: Tensor) -> float:
        """Difference between the sums of this input and another; a recomputed input may differ by rounding."""
        own, other = float(self.total), float(total)
        if own == other:
            return 0.0
        distance = abs(own - other)
        return distance if distance == distance else math.inf

    def again(self) -> Any:
        """Return a copy of the result.

        Raises:
            ValueError: the caller has changed the result in place.
        """
        if self.versions != _versions(self.result):
            raise ValueError(
                "weights that an arbiter returned inside gradient checkpointing have been changed in place, so that "
                "they cannot be returned again in the backward pass; change a copy, weights.clone()"
            )
        return _copied(self.result)


class Recall:
    """Results of the latest calls, returned again when gradient checkpointing repeats a call in the backward pass.

    A repeated call is recognised by its input: of the calls with the same shape it is the one with the nearest sum.
    Only then are sums read from the device. A copy or a pickle of the owner starts without results.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=REMEMBERED)

    def __call__(self, x: Tensor, total: Tensor, compute: Callable[[], T], repeatable: bool) -> T:
        """Return `compute()`, or, in a backward pass, the result of the same call in the forward pass.

        Args:
            x, total: the input and the sum of its entries.
            compute: computes the result of a first call.
            repeatable: whether the call `may_be_repeated`; if not, its result is not kept.

        Raises:
            ValueError: the caller has changed the result of the forward pass in place.
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
            return min(reversed(alike), key=lambda call: call.distance(total)).again()  # the latest of equals

    def __reduce__(self) -> tuple[Any, ...]:
        return Recall, ()


def _versions(result: Any) -> list[int]:
    """Version counters of the tensors in a result, which is a dataclass."""
    versions = []
    for value in vars(result).values():
        if isinstance(value, Tensor):
            versions.append(value._version)
        elif is_dataclass(value):
            versions += _versions(value)
    return versions


def _copied(x: Any) -> Any:
    """Copy a result, tensors included."""
    if isinstance(x, Tensor):
        return x.clone()
    if is_dataclass(x) and not isinstance(x, type):
        return type(x)(**{name: _copied(value) for name, value in vars(x).items()})
    return x
