"""What eyes cost beside a training step, estimated from the layers of both networks, so that it is the same every time.

Measured times would decide differently on another day, or on another rank.
"""

from functools import cache

import torch
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.encoders.pretrained import NETWORK

# Operations (multiplications and additions) that take as long as writing one activation. The times of forward passes of
# six networks on one core, from a small MobileNet to a ResNet-50, agree with this within a factor of two.
PER_ACTIVATION = 57
# Time of forward and backward pass, relative to that of the forward pass.
WITH_BACKWARD = 3


@cache
def relative_cost(backbone: str, channels: int, side: int, frozen_stages: int) -> float:
    """Estimate the time of the embedded eyes' look at views, relative to that of a step that trains a network on them.

    Args:
        backbone: the network that is trained.
        channels: of the views.
        side: of the larger views, in pixels.
        frozen_stages: number of its stages that are not trained.
    """
    encoder = _without_values(backbone, channels, side)
    encoder.freeze(frozen_stages, norms=False)
    forward, trained = _cost(encoder, torch.empty(1, channels, side, side, device="meta"))
    look, _ = _cost(_without_values(NETWORK, 3, side), torch.empty(1, 3, side, side, device="meta"))
    return look / (forward + (WITH_BACKWARD - 1) * trained)


def _without_values(backbone: str, channels: int, side: int) -> Encoder:
    with torch.device("meta"):
        return Encoder(backbone, channels, side)


@torch.no_grad()
def _cost(encoder: Encoder, images: Tensor) -> tuple[float, float]:
    """Return the cost of the forward pass, and that of its part that is trained."""
    costs: list[tuple[float, bool]] = []

    def count(layer: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            return
        parameters = list(layer.parameters())
        trained = any(each.requires_grad for each in parameters) if parameters else costs[-1][1] if costs else True
        weight = next((each for each in parameters if each.dim() > 1), None)
        operations = 0 if weight is None else 2 * output.numel() / weight.shape[0] * weight.numel()
        costs.append((operations + PER_ACTIVATION * output.numel(), trained))

    hooks = [layer.register_forward_hook(count) for layer in encoder.modules() if not any(layer.children())]
    encoder.eval()(images)
    for hook in hooks:
        hook.remove()
    return sum(cost for cost, _ in costs), sum((cost for cost, trained in costs if trained), 0.0)
