"""LARS (You et al., 2017, arXiv 1708.03888) as the code of SimCLR, BYOL and Barlow Twins has it.

Its trust ratio has the norm of the gradient after decay, where timm's and apex's LARC add two norms.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, optim


class Lars(optim.Optimizer):
    """The rate of each tensor in proportion to its norm over that of its gradient; then SGD with momentum.

    A group with `adapt` False has the plain rate: biases and norms, which published code leaves out.

    Args:
        params: tensors, or groups of them.
        lr: learning rate.
        momentum, weight_decay: of SGD.
        trust: the norm of an update at rate 1, relative to the tensor's.
        rate_in_momentum: the momentum is of updates, as in SimCLR's code; else of gradients, and the rate of each
            step multiplies all of it. They differ while the rate changes.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
        rate_in_momentum: bool = False,
    ) -> None:
        own = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "adapt": True}
        super().__init__(params, own | {"rate_in_momentum": rate_in_momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Update every tensor that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            tensors = [tensor for tensor in group["params"] if tensor.grad is not None]
            if tensors:
                self._update(tensors, group)
        return loss

    def _update(self, tensors: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
        gradients = list(torch._foreach_add(gradients, tensors, alpha=group["weight_decay"]))
        if group["adapt"]:
            torch._foreach_mul_(gradients, _trust_ratios(tensors, gradients, group["trust"]))
        momenta = [self._momentum(tensor) for tensor in tensors]
        torch._foreach_mul_(momenta, group["momentum"])
        inner, outer = (group["lr"], 1.0) if group["rate_in_momentum"] else (1.0, group["lr"])
        torch._foreach_add_(momenta, gradients, alpha=inner)
        torch._foreach_add_(tensors, momenta, alpha=-outer)

    def _momentum(self, tensor: Tensor) -> Tensor:
        state = self.state[tensor]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(tensor)
        return state["momentum_buffer"]


def _trust_ratios(tensors: list[Tensor], gradients: list[Tensor], trust: float) -> list[Tensor]:
    """1 where a tensor or its gradient is zero."""
    size = torch.stack(list(torch._foreach_norm(tensors)))
    gradient = torch.stack(list(torch._foreach_norm(gradients)))
    known = (size > 0) & (gradient > 0)
    return list(torch.where(known, trust * size / torch.where(known, gradient, 1.0), 1.0).unbind())
