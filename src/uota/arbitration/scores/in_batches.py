"""A score computed in batches, whose results form one distribution."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration.result import Scores


@dataclass(frozen=True)
class ScoreInBatches:
    """Score each of `count` batches of the images by itself, and concatenate scores and nulls.

    Scores that compare images with each other are comparable only between batches of about the same size.
    """

    score: Callable[[Tensor], Scores]
    count: int

    def __call__(self, z: Float[Tensor, "views batch dim"]) -> Scores:
        parts = [self.score(part) for part in z.tensor_split(self.count, dim=1)]

        def nulls() -> tuple[Tensor, Tensor]:
            stranger, resident = zip(*(part.nulls() for part in parts if part.nulls), strict=True)
            return _joined(stranger), _joined(resident)

        known = nulls if all(part.nulls for part in parts) else None
        return Scores(torch.cat([part.observed for part in parts], 1), known, parts[0].position)


def _joined(nulls: tuple[Tensor, ...]) -> Float[Tensor, "views scores"]:
    """Concatenate the nulls of batches of different sizes."""
    return torch.cat([null.flatten(1) for null in nulls], 1)
