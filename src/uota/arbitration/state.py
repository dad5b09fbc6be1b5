"""What the stateful parts of an arbiter need: a lock, modes of their own, casts that keep precision, recomputation."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, is_dataclass
from threading import RLock
from typing import Any, NamedTuple, TypeVar

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from uota.precision import wide

T = TypeVar("T")
# Calls whose result is kept for their recomputation; each is a few numbers per view.
REMEMBERED = 64
# What keeps the results of operations for selective checkpointing.
RECORDERS = tuple(
    getattr(torch.utils.checkpoint, name)
    for name in ("_CachedTorchDispatchMode", "_CachingTorchDispatchMode")
    if hasattr(torch.utils.checkpoint, name)
)


def own_modes(device: torch.device) -> AbstractContextManager[Any]:
    """A block without gradients, and without the caller's inference mode and autocast.

    What is made in inference mode can never be trained, and autocast would compute in half precision.
    """
    if torch.is_inference_mode_enabled() or torch.is_autocast_enabled(device.type):
        return _callers_modes_off(device)
    return torch.no_grad()  # nearly always, and it costs a tenth


@contextmanager
def _callers_modes_off(device: torch.device) -> Iterator[None]:
    # In this order: leaving inference mode switches gradients on.
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def in_backward() -> bool:
    """Whether a backward pass runs in this thread: what is called there recomputes an earlier call."""
    return torch._C._current_graph_task_id() != -1


def cast_at_least_float32(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What `Module._apply` shall do instead of `function`: move as it does, but cast floats to float32 or float64 only,
    and counts to nothing else."""

    def applied(x: Tensor) -> Tensor:
        result = function(x)
        dtype = wide(result.dtype) if x.is_floating_point() and result.is_floating_point() else x.dtype
        return result if result.dtype == dtype else x.to(result.device, dtype)

    return applied


def unrecorded() -> AbstractContextManager[Any]:
    """A block of which gradient checkpointing sees nothing, as it is run in the forward pass only.

    Checkpointing counts the tensors that are saved for a backward pass and, where it keeps the results of some
    operations, those operations.
    """
    stack = ExitStack()
    if torch._C._autograd._top_saved_tensors_default_hooks(False) is not None:
        # Hooks of its own hide those around; they detach, as a tensor that holds itself is never freed.
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(Tensor.detach, _itself))
    if any(isinstance(mode, RECORDERS) for mode in _get_current_dispatch_mode_stack()):
        stack.enter_context(_disable_current_modes())
    return stack


def _itself(x: Tensor) -> Tensor:
    return x


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


class Key(NamedTuple):
    """Tells the inputs of one call from those of another."""

    shape: torch.Size
    dtype: torch.dtype
    total: float


@dataclass(frozen=True)
class Call:
    """The key of a call's input, and the result."""

    key: Key
    result: Any

    def distance(self, key: Key) -> float:
        """How far another input's sum is from this one's; the recomputed input may differ by rounding."""
        if self.key.total == key.total:
            return 0.0
        distance = abs(self.key.total - key.total)
        return distance if distance == distance else float("inf")


class Recall:
    """Results of the latest calls, given again when gradient checkpointing repeats a call in the backward pass.

    A repeated call is recognised by its input: the same shape, and of all such calls the one with the nearest sum. The
    sum costs nothing, because it is needed to find NaN and infinite entries. A copy or a pickle of the owner
    remembers nothing.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=REMEMBERED)

    def __call__(self, x: Tensor, total: float, compute: Callable[[], T]) -> T:
        """The result of `compute()`, or in a backward pass that of the forward pass."""
        key = Key(x.shape, x.dtype, total)
        with unrecorded():
            if in_backward():
                latest_first = [call for call in reversed(tuple(self._calls)) if call.key[:2] == key[:2]]
                if latest_first:
                    return _copied(min(latest_first, key=lambda call: call.distance(key)).result)
                return compute()
            result = compute()
            self._calls.append(Call(key, _copied(result)))
            return result

    def __reduce__(self) -> tuple[Any, ...]:
        return Recall, ()


def _copied(x: Any) -> Any:
    """A dataclass whose tensors are copies: the caller may change the first result in place."""
    if isinstance(x, Tensor):
        return x.clone()
    if is_dataclass(x) and not isinstance(x, type):
        return type(x)(**{name: _copied(value) for name, value in vars(x).items()})
    return x
