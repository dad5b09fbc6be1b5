"""Checks of an arbiter's input; each message says what was wrong and what to do."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from uota.numerics import at_least_float32

VIEWS = "views are a tensor of floats of shape (views, batch, dim)"
BY_SIZE = "give a list with one tensor of floats (views, batch, channels, height, width) for each size of view"


def check_views(x: object) -> Tensor:
    """Return views as one tensor (views, batch, dim); a list or tuple of one tensor (batch, dim) per view is stacked.

    Raises:
        ValueError: `x` is anything else, or has fewer than two views.
    """
    require_values()
    if isinstance(x, list | tuple):
        x = _stacked(x)
    if reason := unfit(x):
        raise ValueError(f"{VIEWS} (torch.as_tensor takes arrays); these are {reason}")
    assert isinstance(x, Tensor)
    if x.dim() != 3:
        raise ValueError(f"{VIEWS}; these are {x.dtype} of shape {tuple(x.shape)}")
    if x.shape[0] < 2 or x.shape[1] < 1 or x.shape[2] < 1:
        raise ValueError(f"arbitration compares at least 2 views of at least 1 image; the shape is {tuple(x.shape)}")
    return x


def check_views_by_size(by_size: object) -> Sequence[Tensor]:
    """Require a list of tensors of views of the same images, one for each size of view, and return it.

    Raises:
        ValueError: it is anything else.
    """
    require_values()
    if not isinstance(by_size, list | tuple) or not by_size:
        empty = "n empty" if isinstance(by_size, list | tuple) else ""
        raise ValueError(f"views are a{empty} {type(by_size).__name__}; {BY_SIZE}")
    for views in by_size:
        if reason := unfit(views):
            raise ValueError(f"an entry of the list of views is {reason}; {BY_SIZE}")
        if views.dim() != 5:
            raise ValueError(f"an entry of the list of views is {views.dtype} of shape {tuple(views.shape)}; {BY_SIZE}")
        if views.numel() == 0:
            raise ValueError(f"an entry of the list of views is empty, of shape {tuple(views.shape)}; leave it out")
    images = {(views.shape[1], views.shape[2]) for views in by_size}
    if len(images) > 1:
        raise ValueError(f"sizes of view differ in (batch, channels): {sorted(images)}; give views of the same images")
    require_one_device(by_size, "views")
    return by_size


def detached_float(x: Tensor) -> Tensor:
    """Return the values as float32 or float64, detached and usable outside inference mode."""
    x = at_least_float32(x.detach())
    return x.clone() if x.is_inference() else x


def require_finite(x: Tensor, total: Tensor, what: str, remedy: str) -> None:
    """Require finite entries of (views, batch, …); this is the one number for which a call waits for the device.

    Args:
        x: the entries.
        total: their sum.
        what: name of the entries.
        remedy: what to do otherwise.

    Raises:
        ValueError: an entry is NaN or infinite.
    """
    if math.isfinite(total) or bool(torch.isfinite(x).all()):  # the sum of finite numbers may be infinite
        return
    broken = int((~torch.isfinite(x)).flatten(2).any(-1).sum())
    raise ValueError(f"{broken} of {x.shape[0] * x.shape[1]} views have NaN or infinite {what}; {remedy}")


def unfit(x: object) -> str | None:
    """Say why a value cannot be arbitrated, and what to do; None for a dense tensor of floats that has values."""
    if not isinstance(x, Tensor):
        return "None" if x is None else f"a {type(x).__name__}"
    kind = f"{x.dtype} of shape {tuple(x.shape)}" if not x.is_nested else "a nested tensor"
    if x.is_nested:
        return f"{kind}; give every image the same number of views"
    if x.is_meta:
        return f"{kind} on the meta device, where tensors have no values"
    if isinstance(x, FakeTensor):
        return f"a fake tensor, {kind}, which has no values"
    if x.is_quantized:
        return f"quantised, {kind}; give x.dequantize()"
    if x.layout is not torch.strided:
        return f"{x.layout}, {kind}; give x.to_dense()"
    if hasattr(x, "to_local"):  # a DTensor
        return f"distributed over ranks, {kind}; give each rank's own images, x.to_local()"
    if not x.is_floating_point():
        return f"{kind}; {'give real numbers' if x.is_complex() else 'give x.float()'}"
    return None


def is_number(x: object) -> bool:
    """Whether a setting is a number, not a bool, text or a tensor."""
    return isinstance(x, Real) and not isinstance(x, bool)


def check_seed(seed: object) -> int:
    """Require a whole number that a random generator takes, and return it.

    Raises:
        ValueError: it is anything else.
    """
    if not isinstance(seed, Integral) or not -(2**63) <= int(seed) < 2**63:
        raise ValueError(f"seed is {seed!r}; it must be a whole number below 2**63")
    return int(seed)


def require_values() -> None:
    """Require that tensors have values, as an arbiter decides by reading them.

    Raises:
        ValueError: a transform of torch.func, a trace or an export is running.
    """
    if torch._C._functorch.maybe_current_level() is not None:
        raise ValueError(
            "an arbiter cannot run inside torch.func (vmap, grad, jvp); "
            "compute the weights before, and pass them in as an argument"
        )
    if torch._C._is_tracing() or torch.compiler.is_exporting():
        raise ValueError("an arbiter cannot be traced or exported; export the encoder alone")


def _stacked(views: list[Any] | tuple[Any, ...]) -> Tensor:
    if not views:
        raise ValueError(f"{VIEWS}; these are an empty {type(views).__name__}")
    for view in views:
        if reason := unfit(view):
            raise ValueError(f"{VIEWS}, or a list of one tensor (batch, dim) per view; one of these is {reason}")
    shapes = {tuple(view.shape) for view in views}
    if len(shapes) > 1 or views[0].dim() != 2:
        raise ValueError(
            f"{VIEWS}, or a list of one tensor (batch, dim) per view; these are a list of shapes {sorted(shapes)}"
        )
    require_one_device(views, "views")
    return torch.stack([at_least_float32(view.detach()) for view in views])


def require_one_device(tensors: Sequence[Tensor], what: str) -> None:
    """Require all tensors to be on one device.

    Raises:
        ValueError: they are on several.
    """
    devices = {str(x.device) for x in tensors}
    if len(devices) > 1:
        raise ValueError(f"{what} are on {' and '.join(sorted(devices))}; move them to one device")
