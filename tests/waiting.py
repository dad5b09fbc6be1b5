"""Detects what makes a processor wait for an accelerator: copies of values in either direction that must be complete.

Where there is a GPU, `torch.cuda.set_sync_debug_mode("error")` does this. On a CPU, tensors are tracked instead: those
given, and all that is computed from them, count as the device's.
"""

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import uota

aten = torch.ops.aten
# Operations whose result, or its shape, the processor must know.
READS = {
    aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._unique2, aten.unique_consecutive, aten.unique_dim,
    aten.equal, aten.is_nonzero, aten.bincount, aten.allclose,
}  # fmt: skip
# Operations that take tensors of both.
MOVES = {aten.copy_, aten._to_copy}
# Python functions of tensors that copy all values to the processor without an operation on a CPU.
COPIES = {Tensor.cpu, Tensor.tolist, Tensor.numpy, Tensor.__array__}
INDEXING = {Tensor.__getitem__, Tensor.__setitem__}
SOURCES = Path(uota.__file__).parent


class Waits(TorchDispatchMode):
    """Records each place of the package where it would wait, with the operation.

    Args:
        tensors: those of the device.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.found: list[str] = []
        self._kept: dict[int, Any] = {}  # storages, which are kept so that no other gets the address of one
        self.track(tensors)
        self._functions = _Functions(self)

    def track(self, x: Any) -> None:
        """Count the tensors in a nested value as the device's."""
        for each in tree_leaves(x):
            if isinstance(each, Tensor):
                storage = each.untyped_storage()
                self._kept[storage._cdata] = storage

    def tracks(self, x: Any) -> bool:
        """Whether any tensor in a nested value is the device's."""
        leaves = (each for each in tree_leaves(x) if isinstance(each, Tensor))
        return any(each.untyped_storage()._cdata in self._kept for each in leaves)

    def _mixes(self, x: Any) -> bool:
        """Whether a nested value has tensors of the processor other than single numbers."""
        return any(each.dim() and not self.tracks(each) for each in tree_leaves(x) if isinstance(each, Tensor))

    def record(self, what: str) -> None:
        frames = [each for each in traceback.extract_stack() if Path(each.filename).is_relative_to(SOURCES)]
        place = f"{Path(frames[-1].filename).relative_to(SOURCES)}:{frames[-1].lineno}" if frames else "outside"
        self.found.append(f"{place}: {what}")

    def __enter__(self) -> "Waits":
        super().__enter__()
        self._functions.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._functions.__exit__(*error)
        super().__exit__(*error)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        on_device = self.tracks((args, kwargs))
        if on_device and (function.overloadpacket in READS or _indexes_by_bools(function, args)):
            self.record(str(function))
        if on_device and function.overloadpacket not in MOVES and self._mixes((args, kwargs)):
            self.record(f"{function} with a tensor of the processor")
        result = function(*args, **kwargs)
        if on_device or torch._C._current_graph_task_id() != -1:  # what a backward pass makes is where the tensors are
            self.track(result)
            self.track(args if function._schema.is_mutable else ())
        return result


class _Functions(TorchFunctionMode):
    """Records copies between devices, which do nothing on a CPU and are no operations there."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, waits = kwargs or {}, self.waits
        if function in COPIES and waits.tracks(args):
            waits.record(function.__name__)
        if function in INDEXING and waits.tracks(args[0]) and _has_list(args[1]):
            waits.record("indexing by a list")
        if function is Tensor.new_tensor and waits.tracks(args[0]):
            waits.record("new_tensor")
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            waits.record(f"{function.__name__} to a device")
        moves = _is_to_device(function, args, kwargs, waits) and not waits.tracks(args[0])
        if moves and not kwargs.get("non_blocking"):
            waits.record("to a device")
        if function is Tensor.to and waits.tracks(args[0]) and "cpu" in args[1:]:
            waits.record("to the processor")
        result = function(*args, **kwargs)
        if isinstance(kwargs.get("device"), torch.device) or _is_to_device(function, args, kwargs, waits):
            waits.track(result)
        return result


def _is_to_device(function: Any, args: Any, kwargs: Any, waits: Waits) -> bool:
    """Whether a tensor is moved to the device; without being named, the device is that of a tensor."""
    if function is not Tensor.to:
        return False
    return any(isinstance(each, torch.device) for each in args[1:]) or waits.tracks(args[1:])


def _indices(function: Any, args: Any) -> list[Tensor]:
    if function.overloadpacket in (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_):
        return [each for each in args[1] if each is not None]
    return []


def _indexes_by_bools(function: Any, args: Any) -> bool:
    return any(each.dtype in (torch.bool, torch.uint8) for each in _indices(function, args))


def _has_list(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(each, list | range) for each in parts)
