"""Two ways to measure how similar members are: as the features stand, and where members of the same group are alike.

Features vary in directions that have nothing to do with the groups, such as light, angle or the hand that drew. What
varies within groups shows them, and no labels but the groups are needed.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.membership.grouped import ROWS, Grouped

PLAIN, WHITENED = "plain", "whitened within groups"
METRICS = (PLAIN, WHITENED)
# Share of a spherical covariance in that within groups. With 0.1 to 0.6, average precision differed by 0.01 at most.
SPHERICAL = 0.3
Metrics = Mapping[str, Grouped]


def by_metrics(
    z: Float[Tensor, "members dim"],
    group: Int64[Tensor, " members"],
    groups: int,
    seed: int,
    gram: Float[Tensor, "members members"] | None = None,
) -> Metrics:
    """Return the members in these groups by both metrics.

    Args:
        z: unit vectors.
        group: number of each member's group; every number below `groups` occurs.
        groups: number of groups.
        seed: of the samples that they are compared with.
        gram: products of all vectors, if they are known.
    """
    plain = Grouped(z, group, groups, seed, gram)
    white = whiten(plain)
    return {PLAIN: plain, WHITENED: Grouped(white, group, groups, seed, None if gram is None else white @ white.T)}


def whiten(members: Grouped) -> Float[Tensor, "members dim"]:
    """Return unit vectors whose covariance within groups is about spherical.

    Source: Hatch, Kajarekar and Stolcke, *Within-class covariance normalization for SVM-based speaker recognition*
    (Interspeech 2006), with the covariance shrunk to a spherical one.
    """
    root = torch.linalg.cholesky(covariance_within(members))
    mean = members.z.double().mean(0).to(members.z)
    parts = [torch.linalg.solve_triangular(root, (part - mean).T, upper=False).T for part in members.z.split(ROWS)]
    return normalize(torch.cat(parts), dim=-1)


def covariance_within(members: Grouped) -> Float[Tensor, "dim dim"]:
    """Return the shrunk covariance of members around the centre of the other members of their groups.

    A member counts the less, the less it agrees with the others, as in centres. Without groups of two or more, and for
    members that are all the same, it is spherical.
    """
    z, weight = members.z, members.weight
    several = torch.nonzero(members.sizes[members.group] > 1)[:, 0]
    mass = members.sum_by_group(weight[:, None])[:, 0]
    total = z.new_zeros(z.shape[1], z.shape[1])
    for rows in several.split(ROWS):
        own, of_group = weight[rows], members.group[rows]
        others = members.totals[of_group] - own[:, None] * z[rows]
        apart = z[rows] - others / (mass[of_group] - own)[:, None]
        total += (own[:, None] * apart).T @ apart
    mean = total.trace() / len(total)
    spherical = torch.eye(len(total), dtype=z.dtype)
    return torch.lerp(total / mean, spherical, SPHERICAL) if mean > 0 else spherical
