"""Retrieval across kinds of images: whether the nearest image of another kind shows the same thing."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

BATCH = 1024


def evaluate_retrieval(
    x: Float[Tensor, "images dim"], things: Int64[Tensor, " images"], kinds: Int64[Tensor, " images"]
) -> float:
    """Return the top-1 accuracy in per cent of finding an image's thing among all images of other kinds, by cosine.

    Args:
        x: features.
        things: number of the thing that each image shows.
        kinds: number of each image's kind, such as the studio that drew it. Images of its own kind are not searched.
    """
    z, found = normalize(x, dim=1), []
    for rows in torch.arange(len(z)).split(BATCH):
        cosines = (z[rows] @ z.T).masked_fill(kinds[rows, None] == kinds, -torch.inf)
        found.append(things[cosines.argmax(1)] == things[rows])
    return 100 * float(torch.cat(found).double().mean())
