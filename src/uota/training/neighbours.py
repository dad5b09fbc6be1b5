"""Accuracy along the way: do the latest features of images with the same label lie together?"""

from collections import deque

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

IMAGES, NEIGHBOURS, TEMPERATURE = 1024, 20, 0.07


class Neighbours:
    """The latest labelled features of training itself, so that watching accuracy costs no pass through the encoder.

    They are of augmented views and of an encoder in the making: good for curves, not for papers; those want
    `uota evaluate knn`.
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[Tensor, Tensor]] = deque()

    def add(self, features: Float[Tensor, "batch features"], labels: Int64[Tensor, " batch"]) -> None:
        """Keep the labelled images of a batch (label -1: it has none), and as many before it as make `IMAGES`."""
        labelled = labels >= 0
        if not bool(labelled.any()):
            return
        self._batches.append((features.detach()[labelled].float(), labels[labelled]))
        while sum(len(labels) for _, labels in self._batches) - len(self._batches[0][1]) >= IMAGES:
            self._batches.popleft()

    def top1(self) -> float | None:
        """Per cent of the kept images whose label their nearest neighbours vote for; None: there are too few."""
        kept = [torch.cat(parts)[-IMAGES:] for parts in zip(*self._batches, strict=True)]
        return top1_among(*kept) if kept and len(kept[1]) > NEIGHBOURS else None


def top1_among(features: Float[Tensor, "images features"], labels: Int64[Tensor, " images"]) -> float:
    """Accuracy of `uota.evaluation.knn`, each image being asked about by all others."""
    x = normalize(features, dim=1)
    values, dense = labels.unique(return_inverse=True)
    similarity = (x @ x.T).fill_diagonal_(-torch.inf)
    votes = cast_votes(similarity, dense, len(values), NEIGHBOURS, TEMPERATURE)
    return 100 * float((votes.argmax(1) == dense).float().mean())


def cast_votes(
    similarity: Float[Tensor, "queries images"],
    labels: Int64[Tensor, " images"],
    classes: int,
    k: int,
    temperature: float,
) -> Float[Tensor, "queries {classes}"]:
    """Votes of the k nearest images for their labels, weighted by exp(similarity / temperature) (Wu et al., 2018,
    section 3.4), relative to the nearest one's weight; 0 only where none of the k has the label."""
    nearest, who = similarity.topk(k)
    weights = ((nearest - nearest[:, :1]) / temperature).exp().clamp(min=torch.finfo(similarity.dtype).tiny)
    return similarity.new_zeros(len(similarity), classes).scatter_add_(1, labels[who], weights)
