"""What MoCo, JCL and InfoMin share: which views are queries and which are keys, and which network encodes them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from uota.encoders.encoder import FeatureEncoder
from uota.encoders.momentum import MomentumCopy
from uota.errors import UotaError
from uota.methods.embedded import Embedded, embed


class Roles(NamedTuple):
    """Which views, by their number, are queries and which are keys."""

    queries: range
    keys: range


def roles_of(queries: int | None, views: int, globals_: int) -> Roles:
    """Assign roles: the first `queries` views are queries and the others keys, as published.

    Args:
        queries: number of queries; None: all views are queries, and the global ones are keys as well.
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


def embed_queries_and_keys(
    encoder: FeatureEncoder,
    projector: Callable[[Tensor], Tensor],
    key: MomentumCopy,
    groups: list[Tensor],
    queries: int | None,
) -> Embedded:
    """Encode queries by the encoder and keys by its momentum copy.

    Where each view has one role, its embedding, features and early map are those of that role's encoder. `targets`
    holds the keys in the places of their views.

    Args:
        encoder, projector: encode queries.
        key: encodes keys.
        groups: views, a tensor for each size.
        queries: as in `roles_of`.
    """
    if queries is None:
        return embed(encoder, projector, groups, key(groups[0]))
    roles_of(queries, sum(len(group) for group in groups), len(groups[0]))
    parts = _split(groups, queries)
    query = embed(encoder, projector, [asking for asking, _ in parts if len(asking)])
    keys = [key.encode(answering) for _, answering in parts if len(answering)]
    projected = torch.cat([query.projected, *(each.projected for each in keys)])
    features = torch.cat([query.features, *(each.features for each in keys)])
    early = [*query.early, *(each.early for each in keys)]
    return Embedded(projected, features, early, groups, projected.detach())


def _split(groups: list[Tensor], queries: int) -> list[tuple[Tensor, Tensor]]:
    """The queries and the keys of each group."""
    parts = []
    for group in groups:
        here = min(queries, len(group))
        parts.append((group[:here], group[here:]))
        queries -= here
    return parts
