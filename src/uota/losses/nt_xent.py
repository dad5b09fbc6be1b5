"""NT-Xent (Chen et al., 2020, equation 1) for any number of views."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from uota.distributed import gather_rows
from uota.losses.pairs import Pairs
from uota.losses.weights import log_negative_weights
from uota.numerics import at_least_float32, indices, rows_at


def nt_xent_terms(
    z: Float[Tensor, "views batch dim"],
    pairs: Pairs,
    temperature: float = 0.1,
    negative_weights: Float[Tensor, "views batch"] | None = None,
    others: Float[Tensor, "views batch dim"] | None = None,
) -> Float[Tensor, "pairs batch"]:
    """Cross-entropy of picking the positive among itself and the views of all other images of all ranks.

    The denominator of an anchor leaves out its other positives; with two views this is the paper's NT-Xent.

    Args:
        z: embeddings, which are normalised here.
        pairs: predictors are anchors, targets are positives.
        temperature: of the softmax.
        negative_weights: weight of each view as a negative, relative to the mean; None: equal weights.
        others: embeddings of another network, from which the anchors pick; None: `z`.
    """
    z = normalize(at_least_float32(z), dim=-1)
    others = z if others is None else normalize(at_least_float32(others), dim=-1)
    everyone, first = gather_rows(others.transpose(0, 1))
    similarity = torch.einsum("vbd,gwd->vbwg", z, everyone) / temperature
    images = torch.arange(z.shape[1], device=z.device)
    own = images + first
    positive = similarity[:, images, :, own].permute(1, 2, 0)
    if negative_weights is not None:
        similarity = similarity + log_negative_weights(negative_weights).T
    own_image = torch.zeros(similarity.shape[1], similarity.shape[3], dtype=torch.bool, device=z.device)
    own_image[images, own] = True
    negatives = similarity.masked_fill(own_image[:, None], -torch.inf).flatten(2).logsumexp(-1)
    chosen = positive[indices(pairs.predictor, z), indices(pairs.target, z)]
    return torch.logaddexp(chosen, rows_at(negatives, pairs.predictor)) - chosen
