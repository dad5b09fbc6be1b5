"""Optimisers of classifiers, by name: SGD with classical momentum, with Nesterov's, and with LARC's trust ratio."""

from collections.abc import Callable
from typing import Any

from timm.optim import Lars
from torch.optim import SGD, Optimizer

# Of parameter groups, the learning rate, the momentum and the weight decay.
Build = Callable[[list[dict[str, Any]], float, float, float], Optimizer]


def _sgd(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay)


def _nesterov(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    # Without momentum both are the same, and torch refuses to call it Nesterov's.
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=momentum > 0)


def _larc(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    """As `apex.parallel.LARC(SGD(…), trust_coefficient=0.001, clip=False)`: biases adapt too, with or without decay."""
    return Lars(groups, lr=rate, momentum=momentum, weight_decay=decay, trust_coeff=0.001, always_adapt=True)


OPTIMIZERS: dict[str, Build] = {"sgd": _sgd, "nesterov": _nesterov, "larc": _larc}
