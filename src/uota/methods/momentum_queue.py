"""What MoCo, JCL and InfoMin share: which views are queries and which are keys, and who encodes them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from uota.errors import UotaError
from uota.methods.embedded import Embedded, embed
from uota.nn.encoder import FeatureEncoder
from uota.nn.momentum import MomentumCopy


class Roles(NamedTuple):
    """Which views, by their number, are queries and which are keys."""

    queries: range
    keys: range


def roles_of(queries: int | None, views: int, globals_: int) -> Roles:
    """The first `queries` views are queries and the others keys, as published; None: all are queries, global ones keys.

    Args:
        queries: how many are, or None.
        views: how many there are.
        globals_: how many of them are global.

    Raises:
        UotaError: there is no query, or no key.
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
    """Views that are queries by the encoder, and those that are keys by its momentum copy.

    A view that is one of both has the embedding, features and early map by which it acts; `targets` holds the keys in
    the places of their views.

    Args:
        encoder, projector: of queries.
        key: of keys.
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
    """Of each group its queries and its keys."""
    parts = []
    for group in groups:
        here = min(queries, len(group))
        parts.append((group[:here], group[here:]))
        queries -= here
    return parts
