"""Optimisers by name, timm's and those that papers use and timm has not; tried before anything is trained."""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import Any

from timm.optim import Lars as LarsByTwoNorms
from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn, optim

from uota.config import Pretrain
from uota.errors import UotaError
from uota.training.lars import Lars

# timm's `larc` clips its trust ratio, which the released SwAV and UOTA do not; without clipping LARC is timm's `lars`.
OWN: dict[str, Callable[..., optim.Optimizer]] = {
    "lars": Lars,
    "lars_simclr": partial(Lars, rate_in_momentum=True),
    "larc": LarsByTwoNorms,
}
# Their β₁ is `momentum`.
ADAMS = ("adam", "adamw")


def build_optimizer(module: nn.Module, settings: Pretrain) -> optim.Optimizer:
    """Build an optimiser of groups of parameters that know their rates and decays.

    Raises:
        UotaError: there is none of that name, it needs something that is not installed, or there is no such part.
    """
    rates: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "momentum": settings.momentum,
    }
    if settings.optimizer.lower() in ADAMS:
        rates["betas"] = (settings.momentum, 0.999)
    groups = parameter_groups(module, settings)
    if own := OWN.get(settings.optimizer.lower()):
        return own(groups, **rates)
    try:
        return create_optimizer_v2(groups, settings.optimizer, **rates)
    except Exception as error:  # timm asserts, raises about anything, and imports what some of them need
        raise UotaError(_unusable(settings.optimizer, error)) from error


def parameter_groups(module: nn.Module, settings: Pretrain) -> list[dict[str, Any]]:
    """Parameters that learn, apart by whether they are biases or norms, and whether their rate is constant.

    Each group has `rate`, relative to the schedule's, and `constant`: the schedule's top is its rate throughout.

    Raises:
        UotaError: the method has no part of a name that `constant_rate` gives.
    """
    parts = dict(module.named_children())
    if strange := [name for name in settings.constant_rate if name not in parts]:
        raise UotaError(
            f"constant_rate names {strange[0]!r} and {settings.method} has no such part; it has {', '.join(parts)}"
        )
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            small, constant = parameter.ndim <= 1, name.partition(".")[0] in settings.constant_rate
            group = groups.setdefault((small, constant), _group(small, constant, settings))
            group["params"].append(parameter)
    return list(groups.values())


def _group(small: bool, constant: bool, settings: Pretrain) -> dict[str, Any]:
    adapt = settings.decay_all or not small
    # Without `always_adapt` timm's would not adapt the rate where nothing decays.
    decay = {"weight_decay": settings.weight_decay if adapt else 0.0, "adapt": adapt, "always_adapt": adapt}
    return {"params": [], "rate": settings.bias_rate if small else 1.0, "constant": constant} | decay


def check_optimizer(settings: Pretrain) -> None:
    """Build the optimiser for a layer and take a step: some fail only then.

    Raises:
        UotaError: it cannot be used.
    """
    layer = nn.Linear(2, 2)
    optimizer = build_optimizer(layer, replace(settings, constant_rate=[]))
    for parameter in layer.parameters():
        parameter.grad = parameter.detach().clone()
    try:
        optimizer.step()
    except Exception as error:
        raise UotaError(_unusable(settings.optimizer, error)) from error


def _unusable(name: str, error: Exception) -> str:
    known = [str(each) for each in list_optimizers()]
    if name.lower() not in known:
        some = dict.fromkeys([*get_close_matches(name.lower(), [*OWN, *known], 3), "adamw", "momentum", "lars"])
        return f"there is no optimizer {name!r}; choose one of timm's {len(known)}, such as {', '.join(some)}"
    why = " ".join(str(error).split()) or type(error).__name__
    return f"optimizer {name!r} cannot be used here: {why}; choose another, such as adamw, momentum or lars"
