"""Whether a wrong member belongs to another group, told by how clearly one group fits it better than all others."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

# Probabilities that a logarithm of odds is taken of are at least so far from 0 and 1.
LEAST = 1e-4


def likelihood_ratio(
    misplaced: Float[Tensor, " moved"], foreign: Float[Tensor, " moved"]
) -> Callable[[Float[Tensor, " members"]], Float[Tensor, " members"]]:
    """Return what tells how many times more often a choice of a group is so clear if the right one is among them.

    It is the odds of a logistic regression of the logarithms of odds, for as many members of each kind.

    Args:
        misplaced: probabilities of the best group of members whose own group is among the others.
        foreign: those of the same members, without that group.
    """
    x = _log_odds(torch.cat([misplaced, foreign]))
    is_misplaced = torch.arange(len(x)) < len(misplaced)
    fitted = LogisticRegression().fit(x[:, None].numpy(), is_misplaced.numpy())
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return lambda chance: (slope * _log_odds(chance) + offset).exp()


def updated(prior: Float[Tensor, " members"], ratio: Float[Tensor, " members"]) -> Float[Tensor, " members"]:
    """Return probabilities after the evidence of a likelihood ratio."""
    return prior * ratio / (prior * ratio + 1 - prior)


def _log_odds(chance: Tensor) -> Tensor:
    return chance.double().nan_to_num(LEAST).clamp(LEAST, 1 - LEAST).logit()
