"""The UOTA paper's strength: a softmax over all views of all images with a fixed temperature.

Wang et al., NeurIPS 2021, section 3, equation 11.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Number, Scores, Weighing
from uota.distributed import count_over_ranks, max_over_ranks, sum_over_ranks


@dataclass(frozen=True)
class Temperature:
    """Weights w = NM · softmax(score / τ) over the global batch.

    Attributes:
        tau: temperature; the smaller, the more the scores count. For the paper's score it is meaningful only relative
            to D, the mean of the squared distances: the released 350 is 2.7 · D.
    """

    tau: float

    def __post_init__(self) -> None:
        if not is_number(self.tau) or not self.tau > 0:
            raise ValueError(f"tau is {self.tau}; a temperature must be above 0 (the paper's 350 is 2.7 × dimension)")

    def __call__(self, scores: Scores) -> Weighing:
        return Weighing(softmax_weights(scores.observed, self.tau), tau=self.tau)


def softmax_weights(scores: Float[Tensor, "views batch"], tau: Number) -> Float[Tensor, "views batch"]:
    """Compute NM · softmax(scores / τ) over the global batch; ranks exchange a maximum, a sum and a count."""
    likelihood = ((scores - max_over_ranks(scores.max())) / tau).exp()
    return likelihood * (count_over_ranks(scores) / sum_over_ranks(likelihood.sum()))
