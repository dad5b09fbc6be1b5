"""Unit vectors of members, of features of one or several kinds."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn.functional import normalize

Features = Mapping[str, Float[Tensor, "members _"]]
# Principal directions that are kept of more dimensions. Time falls to a third for 1,712, and average precision changes
# by 0.01 at most.
DIRECTIONS = 512
# Members whose principal directions are computed; of more, a random sample.
SAMPLE = 16_384


def project(features: Features, seed: int = 0) -> Float[Tensor, "members dim"]:
    """Centre each kind of features, scale it to length 1, concatenate them, and keep the principal directions.

    Args:
        features: by kind.
        seed: of the sample and the start of the decomposition.
    """
    rows = (each.contiguous() for each in features.values())  # sums of rows and of columns are rounded differently
    centred = (each - each.double().mean(0).to(each) for each in rows)
    z = normalize(torch.cat([normalize(each, dim=-1) for each in centred], -1), dim=-1)
    if z.shape[1] <= DIRECTIONS:
        return z
    sample = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))[:SAMPLE]]
    directions = randomized_svd(sample.numpy(), min(DIRECTIONS, len(sample)), random_state=seed)[2]
    return normalize(z @ torch.from_numpy(directions).to(z).T, dim=-1)
