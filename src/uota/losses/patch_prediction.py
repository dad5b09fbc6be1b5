"""InfoNCE of predicted patches (Hénaff et al., 2020, equation 3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import gather_rows
from uota.losses.weights import log_negative_weights
from uota.numerics import at_least_float32, indices


def patch_prediction_terms(
    predictions: Float[Tensor, "rows batch dim"],
    patches: Float[Tensor, "patches batch dim"],
    predicted: list[int],
    negative_weights: Float[Tensor, "patches batch"] | None = None,
) -> Float[Tensor, "rows batch"]:
    """Cross-entropy of picking the predicted patch among the patches of all images of all ranks, by inner products.

    Args:
        predictions: several for each image.
        patches: embeddings of each image's patches.
        predicted: index of the patch that each row of predictions is of.
        negative_weights: weight of each patch as a negative, relative to the mean; None: equal weights.
    """
    predictions, patches = at_least_float32(predictions), at_least_float32(patches)
    everyone, first = gather_rows(patches.transpose(0, 1))
    logits = torch.einsum("rbd,gpd->rbgp", predictions, everyone)
    images = torch.arange(predictions.shape[1], device=logits.device)
    row = torch.arange(len(predicted), device=logits.device)[:, None]
    patch = indices(predicted, logits)[:, None]
    own = (row, images, images + first, patch)
    positive = logits[own]
    if negative_weights is not None:
        logits = logits + log_negative_weights(negative_weights)
    negatives = logits.index_put(own, torch.full_like(logits[:1, 0, 0, 0], -torch.inf)).flatten(2).logsumexp(-1)
    return torch.logaddexp(positive, negatives) - positive
