"""Cohort score: how far a view's cosine to its own image stands out from cosines of views to other images."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Scores
from uota.arbitration.scores.contrast import DOUBT, Cosines, cosines, of_other_images
from uota.distributed import sum_over_ranks

# Scores are in standard deviations; nearly all lie between these bounds.
LOWEST, HIGHEST = -4.0, 12.0
# Least variance of a cohort's cosines, so that identical embeddings do not divide by 0.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class CohortScore:
    """Score by the cosine to the centre of the image's other views, standardised by two cohorts; nothing to tune.

    The cosine is standardised by the mean and standard deviation of the view's cosines to the centres of the other
    images, and by those of the centre's cosines to the views of other images; the score is the mean of the two. So a
    view that resembles everything, and an image that everything resembles, need a higher cosine than others. In speaker
    verification this is S-norm (Kenny, *Bayesian speaker verification with heavy-tailed priors*, Odyssey 2010; its
    halves are T-norm and Z-norm, Auckenthaler et al., *Score normalization for text-independent speaker verification
    systems*, Digital Signal Processing 2000).

    It is meant for the features of a pretrained encoder. Cosines of such features are all high; subtract the mean of
    the features first.

    Attributes:
        doubt: a view counts exp(doubt · cosine to the image's other views) in the centre of its image.
    """

    doubt: float = DOUBT

    def __post_init__(self) -> None:
        if not is_number(self.doubt) or not self.doubt >= 0:
            raise ValueError(f"doubt is {self.doubt}; it must be 0 or more")

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        largest = z.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)  # its square may overflow
        return cohort_scores(cosines(normalize(z / largest, dim=-1), self.doubt))


def cohort_scores(cosines: Cosines) -> Scores:
    """Standardise the cosines of views; in a batch of fewer than three images, which has no cohort, all scores are 0.

    The null of strangers and that of residents are the same, as a cohort hardly depends on a single image.
    """
    own, images, home = cosines
    views, batch, count = images.shape
    if count < 3:
        return Scores(torch.zeros_like(own), None, _position)
    others = torch.ones_like(images[0], dtype=torch.bool)
    others[torch.arange(batch, device=own.device), home] = False
    rest = images * others
    by_view = _moments(rest.sum(-1), rest.square().sum(-1), count - 1)
    sums = sum_over_ranks(torch.stack([rest.sum((0, 1)), rest.square().sum((0, 1)), views * others.sum(0).to(rest)]))
    by_image = _moments(*sums)
    observed = (by_view.standardise(own) + by_image.of(home).standardise(own)) / 2

    def nulls() -> tuple[Tensor, Tensor]:
        every = (by_view.of((..., None)).standardise(images) + by_image.standardise(images)) / 2
        scores = of_other_images(every, home)
        return scores, scores

    return Scores(observed, nulls, _position)


class _Moments(NamedTuple):
    mean: Tensor
    deviation: Tensor

    def standardise(self, cosine: Tensor) -> Tensor:
        return (cosine - self.mean) / self.deviation

    def of(self, place: Any) -> "_Moments":
        return _Moments(self.mean[place], self.deviation[place])


def _moments(total: Tensor, squares: Tensor, count: Tensor | int) -> _Moments:
    mean = total / count
    return _Moments(mean, (squares / count - mean.square()).clamp_min(LEAST_VARIANCE).sqrt())


def _position(score: Tensor) -> Tensor:
    return (score - LOWEST) / (HIGHEST - LOWEST)
