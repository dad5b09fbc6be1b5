"""Optimisers of classifiers, by name: SGD with classical momentum, with Nesterov's, and with LARC's trust ratio."""

from collections.abc import Callable
from typing import Any

from torch.optim import SGD, Optimizer

from uota.training.lars import larc

# From parameter groups, the learning rate, the momentum and the weight decay.
Build = Callable[[list[dict[str, Any]], float, float, float], Optimizer]


def _sgd(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay)


def _nesterov(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    # Without momentum the two are the same, and torch rejects `nesterov`.
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=momentum > 0)


OPTIMIZERS: dict[str, Build] = {"sgd": _sgd, "nesterov": _nesterov, "larc": larc}
