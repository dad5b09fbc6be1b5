"""Gradient checkpointing of encoders (Chen et al., *Training Deep Nets with Sublinear Memory Cost*, 2016)."""

from collections.abc import Callable
from typing import Any

import torch
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from uota.arbitration.state import in_backward
from uota.encoders.encoder import Encoder
from uota.errors import UotaError


def checkpoint_activations(network: nn.Module) -> None:
    """Let all encoders in a network compute the activations within their blocks again in the backward pass, in place.

    Gradients stay the same, and running statistics of batch norms are updated once.

    Raises:
        UotaError: a backbone has no blocks that can be computed again.
    """
    for encoder in [each for each in network.modules() if isinstance(each, Encoder)]:
        blocks: list[Any] = [each for each in encoder.modules() if isinstance(each, BasicBlock | Bottleneck)]
        for block in blocks:
            block.forward = _computed_again(block.forward)
        if not blocks:
            _let_timm(encoder.backbone)
        for norm in encoder.modules():
            if isinstance(norm, _BatchNorm) and norm.track_running_stats:
                norm.register_forward_pre_hook(_set_aside)
                norm.register_forward_hook(_put_back, always_call=True)  # a repetition ends by an exception


def _computed_again(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def again(*inputs: Tensor) -> Tensor:
        return checkpoint(forward, *inputs, use_reentrant=False) if torch.is_grad_enabled() else forward(*inputs)

    return again


def _let_timm(backbone: Any) -> None:
    try:
        backbone.set_grad_checkpointing()
    except (AttributeError, AssertionError) as error:
        raise UotaError(
            f"checkpoint_activations is set, and {type(backbone).__name__} cannot compute its blocks again; leave it "
            "out, or set accumulate, which saves memory with any backbone"
        ) from error


def _set_aside(norm: Any, _: object) -> None:
    """Where a backward pass repeats a forward pass, let it update a copy of the running statistics."""
    if in_backward():
        norm.set_aside = dict(norm._buffers)
        norm._buffers |= {name: value.clone() for name, value in norm.set_aside.items()}


def _put_back(norm: Any, *_: object) -> None:
    if kept := norm.__dict__.pop("set_aside", None):
        norm._buffers |= kept
