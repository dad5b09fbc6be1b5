"""Contrast score: how much nearer a view is to its own image than to the other images of the batch."""

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

# Scores lie in [−2, 2] by construction, and nearly all of them between these bounds.
LOWEST, HIGHEST = -1.5, 2.0
# A view counts exp(DOUBT · cosine to the image's other views) in the centre of its image.
DOUBT = 5.0


@dataclass(frozen=True)
class Contrast:
    """Score by the cosine to the centre of the image's other views, minus T · log-mean-exp(cosine / T) over others.

    Attributes:
        temperature: T; the smaller it is, the more the nearest other images dominate.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        require_positive(temperature=self.temperature)

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        largest = z.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)  # its square may overflow
        return contrast_scores(cosines(normalize(z / largest, dim=-1)), self.temperature)


class Cosines(NamedTuple):
    """Cosines of views to centres of images.

    Attributes:
        own: to the centre of the view's own image, the view itself left out.
        images: to the centre of every image of all ranks; the column of the view's own image is not to be used, as
            the view is part of that centre.
        home: index of that column.
    """

    own: Float[Tensor, "views batch"]
    images: Float[Tensor, "views batch images"]
    home: Int64[Tensor, " batch"]


def require_positive(**settings: float) -> None:
    """Require each named setting to be a number above 0."""
    for name, value in settings.items():
        if not is_number(value) or not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0")


def cosines(z: Float[Tensor, "views batch dim"], doubt: float = DOUBT) -> Cosines:
    """Compute the cosines of unit vectors to the centres of images.

    A view counts the less in its image's centre, the farther it is from the image's other views, so that outliers
    hardly move it; with a doubt of 0 all views count the same.
    """
    counted = (doubt * _to_centre(z, z.sum(0) - z).detach()).exp().unsqueeze(-1) * z
    total = counted.sum(0)
    centres, first = gather_rows(normalize(total, dim=-1))
    home = first + torch.arange(z.shape[1], device=z.device)
    return Cosines(_to_centre(z, total - counted), z @ centres.T, home)


def _to_centre(z: Float[Tensor, "views batch dim"], centre: Tensor) -> Float[Tensor, "views batch"]:
    return (z * normalize(centre, dim=-1)).sum(-1)


def contrast_scores(cosines: Cosines, temperature: float) -> Scores:
    """Compute the scores of views; in a batch of one image, with nothing to compare, all are 0."""
    own, images, home = cosines
    count = images.shape[-1]
    if count < 2:
        return Scores(torch.zeros_like(own), None, _position)
    likeness = (images - 1).div(temperature).exp()
    likeness[:, torch.arange(own.shape[1], device=own.device), home] = 0
    observed = own - temperature * _log_mean(likeness.sum(-1), count - 1, temperature) - 1
    nulls = partial(_nulls, cosines, likeness, temperature) if count > 2 else None
    return Scores(observed, nulls, _position)


def _nulls(
    cosines: Cosines, likeness: Tensor, temperature: float
) -> tuple[Float[Tensor, "views batch others"], Float[Tensor, "views batch others"]]:
    """Score the same views against every other image, without and with their own image among the rest."""
    own, images, column = cosines
    count = images.shape[-1]
    home = (own - 1).div(temperature).exp().unsqueeze(-1)
    rest = _sum_of_others(likeness)
    stranger = images - temperature * _log_mean(rest, count - 2, temperature) - 1
    resident = images - temperature * _log_mean(rest + home, count - 1, temperature) - 1
    return of_other_images(stranger, column), of_other_images(resident, column)


def of_other_images(x: Float[Tensor, "views batch images"], home: Int64[Tensor, " batch"]) -> Tensor:
    """Leave out each row's entry of its own image: (views, batch, images) to (views, batch, others)."""
    is_after = torch.arange(x.shape[-1] - 1, device=x.device) >= home[:, None]
    return torch.where(is_after, x[..., 1:], x[..., :-1])


def _sum_of_others(x: Float[Tensor, "*rows images"]) -> Float[Tensor, "*rows images"]:
    """Sum each row without each of its entries: the total minus the entry.

    The sum without the largest entry is computed directly, as the difference would cancel.
    """
    largest, place = x.max(-1, keepdim=True)
    rest = x.scatter(-1, place, 0).sum(-1, keepdim=True)
    return (rest - x + largest).scatter(-1, place, rest)


def _log_mean(total: Tensor, count: int, temperature: float) -> Tensor:
    # Cosines of at least −1 bound the mean from below; anything smaller is a rounding error.
    lowest = max(math.exp(-2 / temperature), torch.finfo(total.dtype).tiny)
    return (total / count).clamp_min(lowest).log()


def _position(score: Tensor) -> Tensor:
    return (score - LOWEST) / (HIGHEST - LOWEST)
