"""Nearer to its own image than to others: the contrast of a view, and what it would be against another image."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, pad

from uota.arbitration.result import Scores
from uota.collectives import gather_rows, rank

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
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        largest = z.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)  # squares of it may not exist
        own, others = cosines(normalize(z / largest, dim=-1))
        return contrast_scores(own, others, self.temperature)


def cosines(
    z: Float[Tensor, "views batch dim"],
) -> tuple[Float[Tensor, "views batch"], Float[Tensor, "views batch images"]]:
    """Cosines of unit vectors to their image's centre (the view itself left out) and to every image's centre.

    In a centre a view counts the less the farther it is from the image's other views, so that outliers do not drag it.
    Images are those of all ranks. In the second the column of the view's own image means nothing (the view is in that
    centre): `home_columns` says where it is.
    """
    counted = (DOUBT * _to_centre(z, z.sum(0) - z).detach()).exp().unsqueeze(-1) * z
    total = counted.sum(0)
    return _to_centre(z, total - counted), z @ gather_rows(normalize(total, dim=-1)).T


def _to_centre(z: Float[Tensor, "views batch dim"], centre: Tensor) -> Float[Tensor, "views batch"]:
    return (z * normalize(centre, dim=-1)).sum(-1)


def home_columns(images: Float[Tensor, "views batch images"]) -> Tensor:
    """Index of each local image (batch,) among the images of all ranks."""
    batch = images.shape[1]
    return torch.arange(batch, device=images.device) + rank() * batch


def contrast_scores(
    own: Float[Tensor, "views batch"], images: Float[Tensor, "views batch images"], temperature: float
) -> Scores:
    """Scores from `cosines`. A batch of one image has nothing to compare with: all scores 0."""
    count = images.shape[-1]
    if count < 2:
        return Scores(torch.zeros_like(own), None, _position)
    likeness = (images - 1).div(temperature).exp()
    likeness[:, torch.arange(own.shape[1]), home_columns(images)] = 0
    observed = own - temperature * _log_mean(likeness.sum(-1), count - 1, temperature) - 1
    nulls = partial(_nulls, own, images, likeness, temperature) if count > 2 else None
    return Scores(observed, nulls, _position)


def _nulls(own: Tensor, images: Tensor, likeness: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Scores of the same views as if each other image were theirs, without and with their home among the rest."""
    count = images.shape[-1]
    home = (own - 1).div(temperature).exp().unsqueeze(-1)
    rest = _sum_of_others(likeness)
    stranger = images - temperature * _log_mean(rest, count - 2, temperature) - 1
    resident = images - temperature * _log_mean(rest + home, count - 1, temperature) - 1
    other = torch.ones_like(images[0], dtype=torch.bool)
    other[torch.arange(own.shape[1]), home_columns(images)] = False
    return stranger[:, other], resident[:, other]


def _sum_of_others(x: Float[Tensor, "*rows images"]) -> Float[Tensor, "*rows images"]:
    """What each entry's row sums to without it; not by a difference: of that nothing is left beside a large entry."""
    before = pad(x[..., :-1].cumsum(-1), (1, 0))
    return before + pad(x[..., 1:].flip(-1).cumsum(-1).flip(-1), (0, 1))


def _log_mean(total: Tensor, count: int, temperature: float) -> Tensor:
    # No cosine is below −1, which bounds each term: a total below that is rounding.
    lowest = torch.tensor(-2 / temperature).exp().clamp_min(torch.finfo(total.dtype).tiny)
    return (total / count).clamp_min(float(lowest)).log()


def _position(score: Tensor) -> Tensor:
    return (score - LOWEST) / (HIGHEST - LOWEST)
