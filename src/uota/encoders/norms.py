"""The batch norms of any network: their replacement, and passes that leave their running statistics as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from uota.errors import UotaError


def replace_batch_norms(module: nn.Module, make: Callable[[Any], nn.Module]) -> nn.Module:
    """Replace every plain batch norm of the module, in place, by what `make` returns for it."""
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
        return make(module)
    for name, child in list(module.named_children()):
        setattr(module, name, replace_batch_norms(child, make))
    return module


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norms in a block, in which batches are seen that they know already.

    They normalise by the statistics of the batch as before.
    """
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def with_layer_norm(module: nn.Module) -> nn.Module:
    """Replace every batch norm by a layer norm over channels and positions, with one scale per channel."""
    return replace_batch_norms(
        _require_plain_batch_norm(module), lambda norm: nn.GroupNorm(1, norm.num_features, norm.eps)
    )


def _require_plain_batch_norm(module: nn.Module) -> nn.Module:
    """Require unfused batch norms: timm fuses some with activations, and keeping those would couple the images."""
    for child in module.modules():
        if isinstance(child, _BatchNorm) and type(child) not in (nn.BatchNorm1d, nn.BatchNorm2d):
            raise UotaError(
                f"this backbone has {type(child).__name__}, which cannot be replaced; use tiny, resnet18 or resnet50"
            )
    return module
