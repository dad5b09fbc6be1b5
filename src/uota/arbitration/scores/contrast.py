"""Nearer to its own image than to others: the contrast of a view, and what it would be against another image."""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.inputs import is_number
from uota.arbitration.result import Scores
from uota.distributed import gather_rows

# Scores lie in [−2, 2] by construction; nearly all of them between these.
LOWEST, HIGHEST = -1.5, 2.0
# How much less a view counts in its image's centre for each unit of cosine by which it is farther from the others.
DOUBT = 5.0


@dataclass(frozen=True)
class Contrast:
    """Cosine to the centre of the image's other views, minus T · log-mean-exp of the cosines to other images' centres.

    Attributes:
        temperature: T; small T looks at the nearest other images only.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        require_positive(temperature=self.temperature)

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        largest = z.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)  # squares of it may not exist
        return contrast_scores(cosines(normalize(z / largest, dim=-1)), self.temperature)


class Cosines(NamedTuple):
    """Cosines of views to centres of images.

    Attributes:
        own: to the view's own image, the view itself left out.
        images: to every image of all ranks; the column of the view's own means nothing (the view is in that centre).
        home: which column that is.
    """

    own: Float[Tensor, "views batch"]
    images: Float[Tensor, "views batch images"]
    home: Int64[Tensor, " batch"]


def require_positive(**settings: float) -> None:
    """Refuse a setting, by its name, that means something above 0 only."""
    for name, value in settings.items():
        if not is_number(value) or not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0")


def cosines(z: Float[Tensor, "views batch dim"], doubt: float = DOUBT) -> Cosines:
    """Cosines of unit vectors. In a centre a view counts the less the farther it is from the image's other views, so
    that outliers do not drag it; with a doubt of 0 all count the same."""
    counted = (doubt * _to_centre(z, z.sum(0) - z).detach()).exp().unsqueeze(-1) * z
    total = counted.sum(0)
    centres, first = gather_rows(normalize(total, dim=-1))
    home = first + torch.arange(z.shape[1], device=z.device)
    return Cosines(_to_centre(z, total - counted), z @ centres.T, home)


def _to_centre(z: Float[Tensor, "views batch dim"], centre: Tensor) -> Float[Tensor, "views batch"]:
    return (z * normalize(centre, dim=-1)).sum(-1)


def contrast_scores(cosines: Cosines, temperature: float) -> Scores:
    """Scores of views. A batch of one image has nothing to compare with: all scores 0."""
    own, images, home = cosines
    count = images.shape[-1]
    if count < 2:
        return Scores(torch.zeros_like(own), None, _position)
    likeness = (images - 1).div(temperature).exp()
    likeness[:, torch.arange(own.shape[1], device=own.device), home] = 0
    observed = own - temperature * _log_mean(likeness.sum(-1), count - 1, temperature) - 1
    nulls = partial(_nulls, cosines, likeness, temperature) if count > 2 else None
    return Scores(observed, nulls, _position)


def _nulls(cosines: Cosines, likeness: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Scores of the same views as if each other image were theirs, without and with their home among the rest."""
    own, images, column = cosines
    count = images.shape[-1]
    home = (own - 1).div(temperature).exp().unsqueeze(-1)
    rest = _sum_of_others(likeness)
    stranger = images - temperature * _log_mean(rest, count - 2, temperature) - 1
    resident = images - temperature * _log_mean(rest + home, count - 1, temperature) - 1
    other = torch.ones_like(images[0], dtype=torch.bool)
    other[torch.arange(own.shape[1], device=own.device), column] = False
    return stranger[:, other], resident[:, other]


def _sum_of_others(x: Float[Tensor, "*rows images"]) -> Float[Tensor, "*rows images"]:
    """What each entry's row sums to without it: by a difference, which leaves nothing of the rest beside an entry that
    is most of the sum, and so not for the largest."""
    largest, place = x.max(-1, keepdim=True)
    rest = x.scatter(-1, place, 0).sum(-1, keepdim=True)
    return (rest - x + largest).scatter(-1, place, rest)


def _log_mean(total: Tensor, count: int, temperature: float) -> Tensor:
    # No cosine is below −1, which bounds each term: a total below that is rounding.
    lowest = max(math.exp(-2 / temperature), torch.finfo(total.dtype).tiny)
    return (total / count).clamp_min(lowest).log()


def _position(score: Tensor) -> Tensor:
    return (score - LOWEST) / (HIGHEST - LOWEST)
