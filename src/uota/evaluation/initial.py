"""Distributions of a linear classifier's initial weights, by name."""

from collections.abc import Callable

from torch import Generator, nn

# Fills a layer in place with draws from a generator.
Fill = Callable[[nn.Linear, Generator], None]


def _normal(layer: nn.Linear, random: Generator) -> None:
    """Initialise with standard deviation 0.01, as in the released code of SwAV, MoCo and most other methods."""
    nn.init.normal_(layer.weight, std=0.01, generator=random)
    nn.init.zeros_(layer.bias)


def _zeros(layer: nn.Linear, random: Generator) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _truncated_normal(layer: nn.Linear, random: Generator) -> None:
    """Initialise like Haiku by default: σ = 1 / √inputs, truncated at 2 σ."""
    scale = layer.in_features**-0.5
    nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale, generator=random)
    nn.init.zeros_(layer.bias)


def _uniform(layer: nn.Linear, random: Generator) -> None:
    """Initialise like PyTorch by default: weights and biases uniform within ±1 / √inputs."""
    bound = layer.in_features**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=random)
    nn.init.uniform_(layer.bias, -bound, bound, generator=random)


INITIAL: dict[str, Fill] = {
    "normal": _normal,
    "zeros": _zeros,
    "truncated_normal": _truncated_normal,
    "uniform": _uniform,
}
