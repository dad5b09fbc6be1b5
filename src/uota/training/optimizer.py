"""timm's optimisers by name, tried before anything is trained."""

from difflib import get_close_matches

from timm.optim import create_optimizer_v2, list_optimizers
from torch import nn, optim

from uota.config import Pretrain
from uota.errors import UotaError


def build_optimizer(module: nn.Module, settings: Pretrain) -> optim.Optimizer:
    """Build timm's optimiser, which knows which parameters not to decay.

    Raises:
        UotaError: there is none of that name, or it needs something that is not installed.
    """
    try:
        return create_optimizer_v2(
            module,
            settings.optimizer,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        )
    except Exception as error:  # timm asserts, raises about anything, and imports what some of them need
        raise UotaError(_unusable(settings.optimizer, error)) from error


def check_optimizer(settings: Pretrain) -> None:
    """Build the optimiser for a layer and take a step: some fail only then.

    Raises:
        UotaError: it cannot be used.
    """
    layer = nn.Linear(2, 2)
    optimizer = build_optimizer(layer, settings)
    for parameter in layer.parameters():
        parameter.grad = parameter.detach().clone()
    try:
        optimizer.step()
    except Exception as error:
        raise UotaError(_unusable(settings.optimizer, error)) from error


def _unusable(name: str, error: Exception) -> str:
    known = [str(each) for each in list_optimizers()]
    if name.lower() not in known:
        some = dict.fromkeys([*get_close_matches(name.lower(), known, 3), "adamw", "sgd", "lars"])
        return f"there is no optimizer {name!r}; choose one of timm's {len(known)}, such as {', '.join(some)}"
    why = " ".join(str(error).split()) or type(error).__name__
    return f"optimizer {name!r} cannot be used here: {why}; choose another, such as adamw, sgd or lars"
