"""The paper's strength: a softmax over all views of all images, with a temperature that somebody chose (M.11)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Scores, Weighing
from uota.distributed import count_over_ranks, max_over_ranks, sum_over_ranks


@dataclass(frozen=True)
class Temperature:
    """w = NM · softmax(score / τ) over the global batch.

    Attributes:
        tau: small τ trusts the scores more. For the paper's score it means something relative to D only, the mean of
            the squared distances: the released 350 is 2.7 · D.
    """

    tau: float

    def __post_init__(self) -> None:
        if not is_number(self.tau) or not self.tau > 0:
            raise ValueError(f"tau is {self.tau}; a temperature must be above 0 (the paper's 350 is 2.7 × dimension)")

    def __call__(self, scores: Scores) -> Weighing:
        return Weighing(softmax_weights(scores.observed, self.tau), tau=self.tau)


def softmax_weights(scores: Float[Tensor, "views batch"], tau: float) -> Float[Tensor, "views batch"]:
    """NM · softmax(scores / τ) over the global batch; across ranks one maximum, one sum and one count are exchanged."""
    if math.isinf(tau):
        return torch.ones_like(scores)
    likelihood = ((scores - max_over_ranks(scores.max())) / tau).exp()
    return likelihood * (count_over_ranks(scores) / sum_over_ranks(likelihood.sum()))
