"""Strength by effective sample size: a softmax whose temperature follows from the spread that weights shall have."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Scores, Weighing
from uota.arbitration.strengths.temperature import softmax_weights
from uota.distributed import count_over_ranks, max_over_ranks, sum_over_ranks

# Each round tries this many temperatures, between the two that enclosed the solution in the round before.
CANDIDATES, ROUNDS = 64, 4
# Range of temperatures in the first round, as multiples of the standard deviation of the scores.
NARROWEST, WIDEST = 1e-4, 1e6
# Smaller differences, relative to the largest score, are rounding errors; the paper's scores have only these if
# N(M − 1) ≤ D.
ROUNDING = 1e-4


@dataclass(frozen=True)
class EffectiveSampleSize:
    """Softmax weights whose effective sample size is a given share of the global batch.

    A share below 1/NM is impossible, and gives the best view all the weight. Scores that are equal up to rounding give
    uniform weights.

    Attributes:
        share: effective sample size in (0, 1]; 1 gives uniform weights.
    """

    share: float

    def __post_init__(self) -> None:
        if not is_number(self.share) or not 0 < self.share <= 1:
            raise ValueError(f"ess is {self.share}; an effective sample size is a share above 0 and up to 1")

    def __call__(self, scores: Scores) -> Weighing:
        tau = temperature_for(scores.observed, self.share)
        return Weighing(softmax_weights(scores.observed, tau), tau=tau)


def temperature_for(scores: Float[Tensor, "views batch"], share: float) -> Float[Tensor, ""]:
    """Find the τ at which softmax(scores / τ) has this effective sample size, infinity if scores differ by rounding.

    The effective sample size grows with τ, so the solution is enclosed by ever finer grids. Ranks exchange two numbers
    per candidate in each round, never the scores.
    """
    below_best = (scores - max_over_ranks(scores.max())).double()
    count = count_over_ranks(below_best)
    spread = (sum_over_ranks(below_best.square().sum()) / count).sqrt()
    is_even = (spread <= ROUNDING * max_over_ranks(scores.abs().max())) | (share == 1)
    low, high = (torch.log(each * torch.where(is_even, 1.0, spread)) for each in (NARROWEST, WIDEST))
    steps = torch.linspace(0, 1, CANDIDATES, dtype=torch.float64, device=scores.device)
    for _ in range(ROUNDS):
        grid = torch.lerp(low, high, steps)
        likelihood = (below_best.flatten() / grid.exp()[:, None]).exp()
        sums = sum_over_ranks(torch.stack([likelihood.sum(1), likelihood.square().sum(1)]))
        reached = sums[0].square() / (sums[1] * count) >= share
        first = torch.where(reached.any(), reached.int().argmax(), CANDIDATES - 1)
        low, high = grid.gather(0, torch.stack([(first - 1).clamp_min(0), first])).unbind()
    return torch.where(is_even, math.inf, ((low + high) / 2).exp())
