"""Unit vectors of members, made of their features when they are needed, so that no copy of all of them is held."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.numerics import at_least_float32, wide

Features = Mapping[str, Float[Tensor, "members _"]]
# Members whose features are read at once.
ROWS = 4096


@dataclass(frozen=True)
class Projected:
    """Unit vectors (members, dim) that are indexed by rows like a tensor.

    Each part of the features is centred and scaled to length 1; the parts side by side are scaled to length 1 again.

    Attributes:
        parts: features of half, single or double precision; half becomes single.
        means: mean of each part.
    """

    parts: tuple[Float[Tensor, "members _"], ...]
    means: tuple[Float[Tensor, " _"], ...]

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: slice | Int64[Tensor, " rows"]) -> Float[Tensor, "_ dim"]:
        centred = [at_least_float32(part[rows]) - mean for part, mean in zip(self.parts, self.means, strict=True)]
        return normalize(torch.cat([normalize(part, dim=-1) for part in centred], -1), dim=-1)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of members and of dimensions."""
        return len(self), sum(len(mean) for mean in self.means)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the unit vectors."""
        return self.means[0].dtype


# Unit vectors of members, in memory or made when they are needed.
Vectors = Float[Tensor, "members dim"] | Projected


def projected(features: Features, parts: Iterable[str]) -> Projected:
    """Centre these parts of the features and combine them to unit vectors, when they are needed."""
    chosen = tuple(features[part] for part in parts)
    return Projected(chosen, tuple(_mean(part) for part in chosen))


def project(features: Features, parts: Iterable[str]) -> Float[Tensor, "members dim"]:
    """Centre these parts of the features and combine them to unit vectors, all at once."""
    return projected(features, parts)[:]


def row_blocks(count: int) -> Iterator[slice]:
    """Yield all rows, `ROWS` at a time."""
    return (slice(start, min(start + ROWS, count)) for start in range(0, count, ROWS))


def _mean(part: Float[Tensor, "members dim"]) -> Float[Tensor, " dim"]:
    total = part.new_zeros(part.shape[1], dtype=torch.float64)
    for rows in row_blocks(len(part)):
        total += part[rows].sum(0, dtype=torch.float64)
    return (total / len(part)).to(wide(part.dtype))
