"""Optimisers by name: timm's, and the variants of LARS and LARC in released code. Each is tested before training."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import Any

from timm.optim import create_optimizer_v2, get_optimizer_class, list_optimizers
from torch import nn, optim
from torch.distributed.tensor import DTensor

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.lars import Lars, larc

# These replace timm's: its `lars` has LARC's trust ratio, and its `larc` clips that ratio.
OWN: dict[str, Callable[..., optim.Optimizer]] = {
    "lars": Lars,
    "lars_simclr": partial(Lars, rate_in_momentum=True),
    "larc": larc,
}
# Optimisers for which `momentum` sets β₁.
ADAMS = ("adam", "adamw")
# Devices for which torch has had fused optimisers for long.
FUSED_ON = {"cuda", "cpu"}


def build_optimizer(module: nn.Module, settings: Pretrain) -> optim.Optimizer:
    """Build a run's optimiser with the groups of `parameter_groups`.

    Raises:
        UotaError: no optimiser has that name, its dependencies are not installed, or `constant_rate` names a part that
            the method does not have.
    """
    own = settings.optimization
    rates: dict[str, Any] = {
        "lr": own.peak,
        "weight_decay": own.weight_decay,
        "momentum": own.momentum,
    }
    if own.optimizer.lower() in ADAMS:
        rates["betas"] = (own.momentum, 0.999)
    groups = parameter_groups(module, settings)
    if build := OWN.get(own.optimizer.lower()):
        return build(groups, **rates)
    try:
        return create_optimizer_v2(groups, own.optimizer, **rates, **_fused(own.optimizer, groups))
    except Exception as error:  # timm's constructors may raise anything, including assertions and import errors
        raise UotaError(_unusable(own.optimizer, error)) from error


def _fused(name: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the option of torch's optimisers that updates all parameters of a group at once, where they have it."""
    kind = get_optimizer_class(name.lower().removeprefix("lookahead_"), bind_defaults=False)
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    return {"fused": True} if "fused" in signature(kind).parameters and devices <= FUSED_ON else {}


def parameter_groups(module: nn.Module, settings: Pretrain) -> list[dict[str, Any]]:
    """Group trainable parameters by what their rates and their decay are.

    Biases and norms are apart from weights, the encoder from heads, and constant rates from scheduled ones.

    In each group, `rate` is a factor of the learning rate, and `constant` says whether that stays at its peak.

    Raises:
        UotaError: `constant_rate` names a part that the method does not have.
    """
    parts = dict(module.named_children())
    if strange := [name for name in settings.optimization.constant_rate if name not in parts]:
        raise UotaError(
            f"constant_rate names {strange[0]!r}, not a part of {settings.method.name}; choose from {', '.join(parts)}"
        )
    own = settings.optimization.encoder_rate
    relative = 1.0 if own is None else own
    groups: dict[tuple[bool, bool, float, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            part = name.partition(".")[0]
            small, constant = parameter.ndim <= 1, part in settings.optimization.constant_rate
            rate = relative if part == "encoder" else 1.0
            # Updates of many tensors at once take no mixture of whole ones and of those that ranks share.
            kind = small, constant, rate, isinstance(parameter, DTensor)
            group = groups.setdefault(kind, _group(small, constant, rate, settings))
            group["params"].append(parameter)
    return list(groups.values())


def _group(small: bool, constant: bool, rate: float, settings: Pretrain) -> dict[str, Any]:
    own = settings.optimization
    adapt = own.decay_all or not small
    # Without `always_adapt`, `larc` would not adapt the rate of a group without decay.
    decay = {"weight_decay": own.weight_decay if adapt else 0.0, "adapt": adapt, "always_adapt": adapt}
    return {"params": [], "rate": rate * (own.bias_rate if small else 1.0), "constant": constant} | decay


def check_optimizer(settings: Pretrain) -> None:
    """Test the optimiser on a single layer with one step, since some fail only then.

    Raises:
        UotaError: the optimiser cannot be used.
    """
    layer = nn.Linear(2, 2)
    optimizer = build_optimizer(layer, settings.replace_flat(constant_rate=[]))
    for parameter in layer.parameters():
        parameter.grad = parameter.detach().clone()
    try:
        optimizer.step()
    except Exception as error:
        raise UotaError(_unusable(settings.optimization.optimizer, error)) from error


def _unusable(name: str, error: Exception) -> str:
    known = [str(each) for each in list_optimizers()]
    if name.lower() not in known:
        some = dict.fromkeys([*get_close_matches(name.lower(), [*OWN, *known], 3), "adamw", "momentum", "lars"])
        return f"there is no optimizer {name!r}; choose one of timm's {len(known)}, such as {', '.join(some)}"
    why = " ".join(str(error).split()) or type(error).__name__
    return f"optimizer {name!r} cannot be used here: {why}; choose another, such as adamw, momentum or lars"
