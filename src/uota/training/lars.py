"""LARS (You et al., 2017, arXiv 1708.03888) as in the released code of SimCLR, BYOL and Barlow Twins, and apex's LARC.

They differ in the denominator of the trust ratio: ‖g + decay × w‖ in that code, ‖g‖ + decay × ‖w‖ in LARC and in
Algorithm 1 of the paper.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from timm.optim import Lars as LarsByTwoNorms
from torch import Tensor, optim


class Lars(optim.Optimizer):
    """SGD with momentum that scales each tensor's gradient by `trust` × ‖w‖ / ‖g + decay × w‖.

    Parameter groups with `adapt` False are not scaled; in the released code these are biases and norms.

    Args:
        params: tensors, or parameter groups.
        lr: learning rate.
        momentum, weight_decay: parameters of SGD.
        trust: norm of an update relative to the tensor's norm, at a learning rate of 1 and without momentum.
        rate_in_momentum: if True, the momentum buffer accumulates gradients times learning rate, as in SimCLR's code;
            otherwise it accumulates gradients, as in PyTorch's SGD. The two differ only while the rate changes.
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
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
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


def larc(params: Iterable[Any], lr: float, momentum: float, weight_decay: float) -> optim.Optimizer:
    """Build `apex.parallel.LARC(SGD(…), trust_coefficient=0.001, clip=False)` from timm's LARS.

    timm's own `larc` clips the trust ratio at 1. All tensors are adapted, with or without weight decay, except in
    parameter groups whose `always_adapt` is False, which are adapted only with weight decay.

    Args:
        params: tensors, or parameter groups.
        lr: learning rate.
        momentum, weight_decay: parameters of SGD.
    """
    return LarsByTwoNorms(
        params, lr=lr, momentum=momentum, weight_decay=weight_decay, trust_coeff=0.001, always_adapt=True
    )


def _trust_ratios(tensors: list[Tensor], gradients: list[Tensor], trust: float) -> list[Tensor]:
    """Return the factors of the gradients, which are 1 if a tensor or its gradient is zero."""
    size = torch.stack(list(torch._foreach_norm(tensors)))
    gradient = torch.stack(list(torch._foreach_norm(gradients)))
    known = (size > 0) & (gradient > 0)
    return list(torch.where(known, trust * size / torch.where(known, gradient, 1.0), 1.0).unbind())
