"""Momentum contrast, shared by MoCo, JCL and InfoMin: queries, keys of a momentum encoder, and a queue of keys."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder, FeatureEncoder
from uota.encoders.momentum import MomentumCopy
from uota.encoders.queue import Queue
from uota.errors import UotaError
from uota.methods.embedded import Embedded, Step, embed


class Roles(NamedTuple):
    """Indices of the views that are queries, and of those that are keys."""

    queries: range
    keys: range


def roles_of(queries: int | None, views: int, globals_: int) -> Roles:
    """Assign roles: the first `queries` views are queries and the others keys, as published.

    Args:
        queries: number of queries; None: all views are queries, and the global ones are also keys.
        views: number of all views.
        globals_: number of global views.

    Raises:
        UotaError: no view is left as a query or as a key.
    """
    if queries is None:
        return Roles(range(views), range(globals_))
    if not 0 < queries < views:
        raise UotaError(f"queries is {queries} of {views} views; leave at least one query and one key, or give null")
    return Roles(range(queries), range(queries, views))


class MomentumQueue(nn.Module):
    """An encoder of queries, a momentum copy of it that encodes keys, and a queue of earlier keys as negatives.

    Methods that build on it add `embed` and `loss`.

    Args:
        encoder: images to features.
        projector: features to embeddings.
        dim: of an embedding.
        queue_length: number of keys kept.
        momentum: of the key encoder.
        queries: as in `roles_of`.
        ghost_batches: as in `MomentumCopy`.
    """

    def __init__(
        self,
        encoder: Encoder,
        projector: nn.Module,
        dim: int,
        queue_length: int,
        momentum: float,
        queries: int | None,
        ghost_batches: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector
        self.dim = dim
        self.key = MomentumCopy(encoder, projector, ghost_batches)
        self.queue = Queue(queue_length, dim)
        self.momentum = momentum
        self.queries = queries

    def queries_and_keys(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode queries and keys; in training the key encoder first follows the encoder."""
        if self.training and step.begins:
            self.key.follow(self.encoder, self.projector, self.momentum)
        return embed_queries_and_keys(self.encoder, self.projector, self.key, views, self.queries)

    def negatives(self) -> Float[Tensor, "queue dim"]:
        """Copy the queue, which changes before the backward pass."""
        return self.queue.rows.clone()

    def enqueue(self, keys: Float[Tensor, "keys batch dim"]) -> None:
        """In training, add the keys of all ranks to the queue."""
        if self.training:
            self.queue.push(keys)


def embed_queries_and_keys(
    encoder: FeatureEncoder,
    projector: Callable[[Tensor], Tensor],
    key: MomentumCopy,
    views: list[Tensor],
    queries: int | None,
) -> Embedded:
    """Encode queries by the encoder and keys by its momentum copy.

    If each view has one role, its embedding, features and early map are those of that role's encoder, and `targets`
    holds the keys at the indices of their views.

    Args:
        encoder, projector: encode queries.
        key: encodes keys.
        views: one tensor per size.
        queries: as in `roles_of`.
    """
    if queries is None:
        return embed(encoder, projector, views, key(views[0]))
    roles_of(queries, sum(len(each) for each in views), len(views[0]))
    parts = _split(views, queries)
    query = embed(encoder, projector, [asking for asking, _ in parts if len(asking)])
    keys = [key.encode(answering) for _, answering in parts if len(answering)]
    projected = torch.cat([query.projected, *(each.projected for each in keys)])
    features = torch.cat([query.features, *(each.features for each in keys)])
    early = [*query.early, *(each.early for each in keys)]
    return Embedded(projected, features, early, views, projected.detach())


def _split(views: list[Tensor], queries: int) -> list[tuple[Tensor, Tensor]]:
    """Split the views of each size into queries and keys."""
    parts = []
    for of_size in views:
        here = min(queries, len(of_size))
        parts.append((of_size[:here], of_size[here:]))
        queries -= here
    return parts
