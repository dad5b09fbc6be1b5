"""kNN accuracy during training, on the latest features of labelled images."""

from collections import deque

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

IMAGES, NEIGHBOURS, TEMPERATURE = 1024, 20, 0.07


class Neighbours:
    """A window of the latest labelled features of training, whose kNN accuracy needs no extra pass of the encoder.

    The features are of augmented views, and the encoder changes between batches, so the accuracy is good enough for
    curves but not for publication; for that there is `uota evaluate knn`.
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[Tensor, Tensor]] = deque()
        self._unread: list[tuple[Tensor, Tensor]] = []

    def add(self, features: Float[Tensor, "batch features"], labels: Int64[Tensor, " batch"]) -> None:
        """Add the images of a batch, of which those with label -1 do not count."""
        self._unread.append((features.detach().to(torch.float32, copy=True), labels))

    def read(self) -> None:
        """Keep the labelled images only, and drop old batches that exceed `IMAGES`; this waits for the device."""
        for features, labels in self._unread:
            labelled = labels >= 0
            if bool(labelled.any()):
                self._batches.append((features[labelled], labels[labelled]))
        self._unread = []
        kept = sum(len(labels) for _, labels in self._batches)
        while self._batches and kept - len(self._batches[0][1]) >= IMAGES:
            kept -= len(self._batches.popleft()[1])

    def top1(self) -> float | None:
        """Return the leave-one-out kNN accuracy of the window in per cent; None: there are too few images."""
        self.read()
        kept = [torch.cat(parts)[-IMAGES:] for parts in zip(*self._batches, strict=True)]
        return leave_one_out_top1(*kept) if kept and len(kept[1]) > NEIGHBOURS else None


def leave_one_out_top1(features: Float[Tensor, "images features"], labels: Int64[Tensor, " images"]) -> float:
    """Return the accuracy in per cent of `uota.evaluation.knn` when each image is classified by all others."""
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
    """Sum the votes of the k nearest images, weighted by exp(similarity / temperature) (Wu et al., 2018, section 3.4).

    The weights are relative to that of the nearest image, and a label has 0 votes only if none of the k images has it.
    """
    nearest, neighbours = similarity.topk(k)
    weights = ((nearest - nearest[:, :1]) / temperature).exp().clamp(min=torch.finfo(similarity.dtype).tiny)
    return similarity.new_zeros(len(similarity), classes).scatter_add_(1, labels[neighbours], weights)
