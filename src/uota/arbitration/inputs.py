"""What may be arbitrated: checks of what a caller gives, with the remedy."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from uota.numerics import at_least_float32

VIEWS = "views are a tensor of floats of shape (views, batch, dim)"
GROUPS = "give a list with one tensor (views, batch, channels, height, width) for each size of view"


def check_views(x: object) -> Tensor:
    """Views as one tensor (views, batch, dim); a list or tuple of one tensor (batch, dim) per view is stacked.

    Raises:
        ValueError: they are anything else, or fewer than two views.
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


def check_views_by_size(groups: object) -> Sequence[Tensor]:
    """The groups, which must be a list of tensors of views of the same images, one for each size of view.

    Raises:
        ValueError: it is anything else.
    """
    require_values()
    if not isinstance(groups, list | tuple) or not groups:
        empty = "n empty" if isinstance(groups, list | tuple) else ""
        raise ValueError(f"views are a{empty} {type(groups).__name__}; {GROUPS}")
    for views in groups:
        if reason := unfit(views):
            raise ValueError(f"a group of views is {reason}; {GROUPS}, as floats")
        if views.dim() != 5:
            raise ValueError(f"a group of views is {views.dtype} of shape {tuple(views.shape)}; {GROUPS}, as floats")
        if views.numel() == 0:
            raise ValueError(f"a group of views is empty, of shape {tuple(views.shape)}; leave it out")
    images = {(views.shape[1], views.shape[2]) for views in groups}
    if len(images) > 1:
        raise ValueError(f"groups differ in (batch, channels): {sorted(images)}; give views of the same images")
    require_one_device(groups, "groups of views")
    return groups


def detached_float(x: Tensor) -> Tensor:
    """An ordinary tensor of at least float32 with the same values, outside of the caller's graph."""
    x = at_least_float32(x.detach())
    return x.clone() if x.is_inference() else x


def finite_total(x: Tensor, what: str, remedy: str) -> float:
    """The sum of all entries (views, batch, …), the only number that a call needs from the device.

    Raises:
        ValueError: an entry is NaN or infinite.
    """
    total = float(x.sum())
    if total - total == 0 or bool(torch.isfinite(x).all()):  # finite numbers may have an infinite sum
        return total
    broken = int((~torch.isfinite(x)).flatten(2).any(-1).sum())
    raise ValueError(f"{broken} of {x.shape[0] * x.shape[1]} views have NaN or infinite {what}; {remedy}")


def unfit(x: object) -> str | None:
    """What keeps a value from being arbitrated, and the remedy; None: it is a dense tensor of floats with values."""
    if not isinstance(x, Tensor):
        return "None" if x is None else f"a {type(x).__name__}"
    kind = f"{x.dtype} of shape {tuple(x.shape)}" if not x.is_nested else "a nested tensor"
    if x.is_nested:
        return f"{kind}; give every image as many views"
    if x.is_meta:
        return f"{kind} on the meta device, where tensors have no values"
    if isinstance(x, FakeTensor):
        return f"a fake tensor, {kind}, which has no values"
    if x.is_quantized:
        return f"quantised, {kind}; give x.dequantize()"
    if x.layout is not torch.strided:
        return f"{x.layout}, {kind}; give x.to_dense()"
    if hasattr(x, "to_local"):  # a DTensor
        return f"spread over ranks, {kind}; give each rank's own images, x.to_local()"
    if not x.is_floating_point():
        return f"{kind}; {'give real numbers' if x.is_complex() else 'give x.float()'}"
    return None


def is_number(x: object) -> bool:
    """Whether a setting is a number (not a bool, text or tensor)."""
    return isinstance(x, Real) and not isinstance(x, bool)


def check_seed(seed: object) -> int:
    """The seed, which must be a whole number that a generator takes.

    Raises:
        ValueError: it is anything else.
    """
    if not isinstance(seed, Integral) or not -(2**63) <= int(seed) < 2**63:
        raise ValueError(f"seed is {seed!r}; it must be a whole number below 2**63")
    return int(seed)


def require_values() -> None:
    """Refuse to arbitrate where tensors only stand for values, which an arbiter has to read.

    Raises:
        ValueError: this is inside of a transform of torch.func, or of a trace or an export.
    """
    if torch._C._functorch.maybe_current_level() is not None:
        raise ValueError(
            "an arbiter cannot work inside of torch.func (vmap, grad, jvp); "
            "compute the weights before and pass them in as an argument"
        )
    if torch._C._is_tracing() or torch.compiler.is_exporting():
        raise ValueError("an arbiter cannot be traced or exported; export the encoder alone, without the arbiter")


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
