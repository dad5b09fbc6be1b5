"""Reference implementations of published optimisers; a step reads gradients and changes parameters in place."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

TRUST, MOMENTUM = 0.001, 0.9


def larc(parameters: Iterable[nn.Parameter], decay: float) -> Callable[[float], None]:
    """SGD within apex's LARC with clip=False (NVIDIA/apex: apex/parallel/LARC.py), as SwAV calls them.

    All parameters alike, biases and norms too; one without a gradient is left alone, its momentum too.
    """
    momenta: dict[nn.Parameter, Tensor] = {}
    parameters = list(parameters)

    @torch.no_grad()
    def step(rate: float) -> None:
        for p in parameters:
            if p.grad is None:
                continue
            g = p.grad.clone()
            if p.norm() > 0 and g.norm() > 0:
                trust = TRUST * p.norm() / (g.norm() + decay * p.norm() + 1e-8)
                g = trust * (g + decay * p)
            momenta[p] = MOMENTUM * momenta[p] + g if p in momenta else g
            p -= rate * momenta[p]

    return step


def lars_of_simclr(parameters: Iterable[nn.Parameter], decay: float) -> Callable[[float], None]:
    """google-research/simclr: lars_optimizer.py, with its default of classic momentum: the rate enters the momentum.

    Biases and norms, which have one dimension, are neither decayed nor adapted.
    """
    momenta: dict[nn.Parameter, Tensor] = {}
    parameters = [p for p in parameters if p.requires_grad]

    @torch.no_grad()
    def step(rate: float) -> None:
        for p in parameters:
            g, trust = p.grad.clone(), 1.0
            if p.ndim > 1:
                g = g + decay * p
                trust = TRUST * p.norm() / g.norm() if p.norm() > 0 and g.norm() > 0 else 1.0
            momenta[p] = MOMENTUM * momenta.get(p, torch.zeros_like(p)) + rate * trust * g
            p -= momenta[p]

    return step
