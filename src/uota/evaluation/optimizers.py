"""Optimisers of classifiers, by name: SGD with classical or Nesterov momentum, and with LARC's trust ratio."""

from collections.abc import Callable
from typing import Any

from torch.optim import SGD, Optimizer

from uota.training.lars import larc

# Arguments: parameter groups, learning rate, momentum, weight decay.
Build = Callable[[list[dict[str, Any]], float, float, float], Optimizer]


def _sgd(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay)


def _nesterov(groups: list[dict[str, Any]], rate: float, momentum: float, decay: float) -> Optimizer:
    # torch rejects `nesterov` without momentum, where it would have no effect.
    return SGD(groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=momentum > 0)


OPTIMIZERS: dict[str, Build] = {"sgd": _sgd, "nesterov": _nesterov, "larc": larc}
