"""Shared parts of the references of SimSiam, BYOL and Barlow Twins: a tiny encoder and functional networks."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, linear, relu

from uota.encoders.encoder import Encoder

WIDTH = 8


class TinyEncoder(Encoder):
    """Two convolutions with batch norm, and average pooling."""

    def __init__(self) -> None:
        nn.Module.__init__(self)  # without a backbone
        self.width = WIDTH
        self.conv1, self.norm1 = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, WIDTH, 3, 2, bias=False), nn.BatchNorm2d(WIDTH)

    def with_early_map(self, images):
        early = relu(self.norm1(self.conv1(images)))
        return relu(self.norm2(self.conv2(early))).mean((2, 3)), early


def state_of(method: nn.Module) -> dict[str, Tensor]:
    """Copy the parameters and buffers, without counters."""
    return {name: value.clone() for name, value in method.state_dict().items() if value.is_floating_point()}


def learned(state: dict[str, Tensor], *parts: str) -> dict[str, Tensor]:
    """Return the parameters of some parts as leaves that require gradients."""
    names = [name for name in state if name.startswith(parts) and "running" not in name]
    return {name: state[name].requires_grad_() for name in names}


def norm(state: dict[str, Tensor], name: str, x: Tensor, affine: bool = True) -> Tensor:
    """Apply batch norm over these rows, and update the running statistics with momentum 0.1, as PyTorch does."""
    statistics = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale_and_shift = (state[f"{name}.weight"], state[f"{name}.bias"]) if affine else (None, None)
    return batch_norm(x, *statistics, *scale_and_shift, training=True, momentum=0.1, eps=1e-5)


def encoded(state: dict[str, Tensor], images: Tensor, part: str = "encoder") -> Tensor:
    """Return the features of one view of each image."""
    x = relu(norm(state, f"{part}.norm1", conv2d(images, state[f"{part}.conv1.weight"])))
    return relu(norm(state, f"{part}.norm2", conv2d(x, state[f"{part}.conv2.weight"], stride=2))).mean((2, 3))


def headed(state: dict[str, Tensor], x: Tensor, part: str, layers: str) -> Tensor:
    """Apply an MLP whose layers are given by letters.

    l is linear, L the same with a bias, n batch norm, s batch norm without scale and shift, r a rectifier.
    """
    for place, layer in enumerate(layers):
        name = f"{part}.layers.{place}"
        if layer in "lL":
            x = linear(x, state[f"{name}.weight"], state[f"{name}.bias"] if layer == "L" else None)
        else:
            x = relu(x) if layer == "r" else norm(state, name, x, affine=layer == "n")
    return x


def cosine(start: float, end: float, share: float) -> float:
    """Return the value of a half cosine from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


class PublishedLars:
    """LARS of BYOL (utils/optimizers.py) and Barlow Twins (main.py); biases and norms neither decay nor adapt."""

    def __init__(self, parameters: dict[str, Tensor], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.momenta = {name: torch.zeros_like(value) for name, value in parameters.items()}

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor], rate: float, rate_of_biases: float) -> None:
        for name, value in self.parameters.items():
            update, own_rate = gradients[name], rate_of_biases
            if value.ndim > 1:
                own_rate = rate
                update = update + self.decay * value
                sizes = value.norm(), update.norm()
                if sizes[0] > 0 and sizes[1] > 0:
                    update = update * (0.001 * sizes[0] / sizes[1])
            self.momenta[name] = 0.9 * self.momenta[name] + update
            value -= own_rate * self.momenta[name]
