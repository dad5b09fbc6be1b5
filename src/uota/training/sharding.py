"""Sharding by FSDP2: each rank keeps a part of all weights, gradients and optimiser states.

The whole weights of a block of layers are gathered only while that computes.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from uota.distributed import mean_over_ranks
from uota.encoders.momentum import MomentumCopy
from uota.errors import UotaError
from uota.methods import METHODS
from uota.settings.pretrain import Pretrain

# Blocks with fewer weights are gathered along with the network around them, as many small exchanges cost more.
SMALLEST = 10**5
# Optimisers whose updates are elementwise, so that a part of a tensor is updated as in the whole.
ELEMENTWISE = ("adamw", "adam", "sgd", "momentum")


def check_sharding(settings: Pretrain) -> None:
    """Check that a run's networks can be sharded.

    Raises:
        UotaError: something in the run needs whole weights on one rank.
    """
    name, optimizer = settings.method.name, settings.optimization.optimizer
    whole = {
        "there is one device, which has nothing to share; give more --devices": settings.runtime.ranks == 1,
        "Lightning shards no 64-bit training; set precision to 32 or bf16": settings.runtime.precision == "64",
        "compiled encoders have not been tried with it; leave compile out": settings.runtime.compile,
        "fp16 has not been tried with it; set precision to 32 or bf16": settings.runtime.precision == "fp16",
        "parts of a batch are embedded outside of the networks' own calls; set accumulate to 1": (
            settings.optimization.accumulate > 1
        ),
        "blocks that are computed again have not been tried with it; leave checkpoint_activations out": (
            settings.runtime.checkpoint_activations
        ),
        f"{name} is a method of your own, which may use weights outside of a forward pass": name not in METHODS,
        f"optimizer {optimizer} looks at whole tensors; choose one of {', '.join(ELEMENTWISE)}": (
            optimizer.lower() not in ELEMENTWISE
        ),
        "kept_share keeps whole weights; set kept_share to 0": bool(settings.optimization.kept_share),
        "refile looks with a copy of the encoder; set refile to false": bool(settings.data.refile),
    }
    for why in (why for why, is_so in whole.items() if is_so):
        raise UotaError(f"strategy fsdp2 does not go with this run: {why}, or set strategy to ddp")


def shard(method: nn.Module, mesh: DeviceMesh) -> None:
    """Shard the networks of a method in place.

    Tensors that are no network's, such as SwAV's prototypes and the queue, stay whole on every rank.

    Args:
        method: the method.
        mesh: the ranks, along one dimension.
    """
    for network in _networks(method):
        network.to(memory_format=torch.contiguous_format)  # FSDP2 shards no others; activations stay channels-last
        for part in (*_blocks(network), network):
            # Also of the outermost, since momentum encoders are updated in their shards and have no backward pass.
            fully_shard(part, mesh=mesh, reshard_after_forward=True)
            if mesh.device_type == "cpu":
                part.set_force_sum_reduction_for_comms(True)  # gloo has no mean
        if hasattr(network, "with_early_map"):
            register_fsdp_forward_method(network, "with_early_map")


def average_whole(method: nn.Module) -> None:
    """Average the gradients of tensors that are whole on every rank, as FSDP2 does with those of networks."""
    whole = [each for each in method.parameters(recurse=False) if each.grad is not None]
    if whole:
        for each, mean in zip(whole, mean_over_ranks(*(_gradient(each) for each in whole)), strict=True):
            each.grad = mean


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _networks(module: nn.Module) -> Iterator[Any]:
    """Yield the outermost modules that compute something by themselves and have weights."""
    for child in module.children():
        if isinstance(child, MomentumCopy | nn.ModuleList):
            yield from _networks(child)
        elif next(child.parameters(), None) is not None:
            yield child


def _blocks(network: nn.Module) -> Iterator[Any]:
    """Yield the large elements of a network's outermost sequences, such as the blocks of a transformer."""
    for child in network.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from (part for part in child if sum(each.numel() for each in part.parameters()) >= SMALLEST)
        else:
            yield from _blocks(child)
