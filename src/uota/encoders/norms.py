"""Exchanging the norms of a network that somebody else wrote."""

from collections.abc import Callable
from typing import Any

from torch import nn

from uota.errors import UotaError


def exchanged(module: nn.Module, make: Callable[[Any], nn.Module]) -> nn.Module:
    """The module with every plain batch norm exchanged for what `make` makes of it."""
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
        return make(module)
    for name, child in list(module.named_children()):
        setattr(module, name, exchanged(child, make))
    return module


def with_layer_norm(module: nn.Module) -> nn.Module:
    """The module with every batch norm exchanged for a layer norm over channels and places, scaled by channel."""
    return exchanged(_require_plain_batch_norm(module), lambda norm: nn.GroupNorm(1, norm.num_features, norm.eps))


def _require_plain_batch_norm(module: nn.Module) -> nn.Module:
    """timm fuses batch norm and activation in some models; exchanging only the others would leave patches coupled."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and type(child) not in (nn.BatchNorm1d, nn.BatchNorm2d):
            raise UotaError(
                f"this backbone has {type(child).__name__}, which nothing here replaces; use tiny, resnet18 or resnet50"
            )
    return module
