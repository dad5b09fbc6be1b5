"""Two ways to measure how similar members are: as the features stand, and where members of the same group are alike.

Features vary in directions that have nothing to do with the groups, such as light, angle or the hand that drew. What
varies within groups shows them, and no labels but the groups are needed.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.distributed import sum_over_ranks
from uota.membership.filing import sums
from uota.membership.grouped import ROWS, Grouped
from uota.membership.projection import Vectors, Whitened, held
from uota.membership.shares import own_share

PLAIN, WHITENED = "plain", "whitened within groups"
METRICS = (PLAIN, WHITENED)
# Share of a spherical covariance in that within groups. With 0.1 to 0.6, average precision differed by 0.01 at most.
SPHERICAL = 0.3
Metrics = Mapping[str, Grouped]


def by_metrics(
    z: Vectors,
    group: Int64[Tensor, " members"],
    groups: int,
    seed: int,
    gram: Float[Tensor, "members members"] | None = None,
    chosen: Int64[Tensor, " rows"] | None = None,
    absent: Int64[Tensor, " rows"] | None = None,
) -> Metrics:
    """Return the members in these groups by both metrics.

    Args:
        z: unit vectors.
        group: number of each member's group; every number below `groups` occurs.
        groups: number of groups.
        seed: of the samples that they are compared with.
        gram: products of all vectors, if they are known, which then are few.
        chosen: members that are scored; None: all.
        absent: of each of these, the number of a group that it is not compared with, or -1; None: no such groups.
    """
    plain = Grouped(z, group, groups, seed, gram, chosen, absent)
    white = whiten(plain)
    if gram is not None:
        gram = white[:] @ white[:].T
    return {PLAIN: plain, WHITENED: Grouped(white, group, groups, seed, gram, chosen, absent)}


def whiten(members: Grouped) -> Vectors:
    """Return unit vectors whose covariance within groups is about spherical.

    Source: Hatch, Kajarekar and Stolcke, *Within-class covariance normalization for SVM-based speaker recognition*
    (Interspeech 2006), with the covariance shrunk to a spherical one.
    """
    variance, directions = torch.linalg.eigh(covariance_within(members).double())
    return held(Whitened(members.z, members.mean, (directions / variance.sqrt()).to(members.z.dtype)))


def covariance_within(members: Grouped) -> Float[Tensor, "dim dim"]:
    """Return the shrunk covariance of members around the centre of the other members of their groups.

    A member counts the less, the less it agrees with the others, as in centres. Without groups of two or more, and for
    members that are all the same, it is spherical.
    """
    z, weight = members.z, members.weight
    several = torch.nonzero(members.sizes[members.group] > 1)[:, 0]
    mass = sums(weight, members.group, members.groups)
    total = torch.zeros(z.shape[1], z.shape[1], dtype=z.dtype)
    for rows in own_share(several).split(ROWS):
        own, of_group, vectors = weight[rows], members.group[rows], z[rows]
        others = members.totals[of_group] - own[:, None] * vectors
        apart = vectors - others / (mass[of_group] - own)[:, None]
        total += (own[:, None] * apart).T @ apart
    total = sum_over_ranks(total)
    mean = total.trace() / len(total)
    spherical = torch.eye(len(total), dtype=z.dtype)
    return torch.lerp(total / mean, spherical, SPHERICAL) if mean > 0 else spherical
