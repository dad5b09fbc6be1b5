"""Groups that show the same thing as another group.

Groups of one thing on purpose are the two parts of a group that is cut in two at random.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.membership.filing import Filing, Totals, halve, some_groups, totals
from uota.membership.mixture import Nulls, estimate
from uota.membership.projection import Vectors
from uota.membership.similar import Similar, most_similar
from uota.numerics import seed_of

# Least weight of a member, so that a group of outliers has a centre.
LEAST_WEIGHT = 1e-3
# Members that the mean similarity of all groups' members counts as, in the estimate of a group's own; and the least.
PRIOR, LEAST_SIMILARITY = 5.0, 0.05
# About how many groups are cut on purpose, and how often.
CUT, REPEATS = 1000, 10


@dataclass(frozen=True)
class Merges:
    """Which other group each group is most similar to.

    Attributes:
        probability: probability that both show the same thing.
        twin: number of the other group; -1 if there is none.
    """

    probability: Float[Tensor, " groups"]
    twin: Int64[Tensor, " groups"]


def find_merges(z: Vectors, probability: Float[Tensor, " members"], filing: Filing, seed: int) -> Merges:
    """Find groups that show the same thing as another group.

    If no group has two members, nothing can be cut in two, and all probabilities are 0.

    Args:
        z: unit vectors.
        probability: of each member not to belong to its group.
        filing: the groups.
        seed: of the cuts.
    """
    weight = (1 - probability).clamp_min(LEAST_WEIGHT).to(z.dtype)
    whole = totals(z, weight, filing)
    agreement = pooled_agreement(whole)
    centres = corrected_centres(whole, agreement)
    similar = most_similar(centres, centres, torch.arange(len(centres)))
    twin = similar.number[:, 0]
    able = torch.nonzero(filing.sizes >= 2)[:, 0]
    if not len(able) or len(centres) < 2:
        return Merges(torch.zeros_like(centres[:, 0]), twin)
    back = next_similar(similar, twin, torch.arange(len(twin)))
    null = [
        _cut(z, weight, filing, able, seed_of(seed, repeat, 4), centres, similar, agreement)
        for repeat in range(min(REPEATS, 1 + CUT // len(able)))
    ]
    return Merges(estimate(distinctness(similar, back), Nulls(torch.cat(null))).probability.to(z.dtype), twin)


def pooled_agreement(groups: Totals) -> float:
    """Return the mean cosine between members of the same group; 0 if no group has two."""
    pairs = groups.weight.square() - groups.squares
    kept = groups.weight / pairs.clamp_min(LEAST_WEIGHT**2)
    return float((_agreement(groups) * pairs * kept).sum() / (pairs * kept).sum().clamp_min(LEAST_WEIGHT))


def corrected_centres(groups: Totals, pooled: float) -> Float[Tensor, "groups dim"]:
    """Return the groups' centres, divided by how well each is known.

    Products of them are cosines corrected for attenuation (Spearman, *The proof and measurement of association between
    two things*, 1904), so that groups of few members can be compared with groups of many: the correlation of a mean of
    n members with what it estimates is √(n a / (1 + (n − 1) a)), where a is their mean cosine to each other. That is
    estimated from the group's members and from all groups.

    Args:
        groups: sums over their members.
        pooled: mean cosine between members of the same group, over all groups.
    """
    members = groups.weight.square() / groups.squares
    alike = ((members - 1) * _agreement(groups) + PRIOR * pooled) / (members - 1 + PRIOR)
    alike = alike.clamp_min(LEAST_SIMILARITY)
    known = members * alike / (1 + (members - 1) * alike)
    return groups.centres / known.sqrt()[:, None]


def next_similar(
    similar: Similar, twin: Int64[Tensor, " queries"], own: Int64[Tensor, " queries"]
) -> Float[Tensor, " queries"]:
    """Return how similar each query's twin is to its most similar group other than the query's own.

    Args:
        similar: of all groups.
        twin: the group that each query is most similar to.
        own: the query's own group.
    """
    first_is_own = similar.number[twin, 0] == own
    return torch.where(first_is_own, similar.similarity[twin, 1], similar.similarity[twin, 0])


def distinctness(similar: Similar, back: Float[Tensor, " queries"]) -> Float[Tensor, " queries"]:
    """Return how little a group stands out as its twin's twin; lower for groups that show the same thing.

    It is half the mean similarity of the two to the next group, minus their similarity.

    Args:
        similar: the two most similar groups of each.
        back: similarity of the first of these to its most similar third group.
    """
    return (similar.similarity[:, 1] + back) / 4 - similar.similarity[:, 0]


def _cut(
    z: Vectors,
    weight: Float[Tensor, " members"],
    filing: Filing,
    able: Int64[Tensor, " able"],
    seed: int,
    centres: Float[Tensor, "groups dim"],
    similar: Similar,
    agreement: float,
) -> Float[Tensor, " halves"]:
    """Return the distinctness of the halves of groups that are cut in two, among all other groups."""
    chosen = able[torch.randperm(len(able), generator=torch.Generator().manual_seed(seed))[:CUT]]
    cut = some_groups(filing, chosen)
    half = 2 * cut.group + halve(cut, 1, seed)
    by_half = half.argsort(stable=True)
    halves = corrected_centres(totals(z, weight, Filing(cut.members[by_half], half[by_half])), agreement)
    own = chosen.repeat_interleave(2)
    others = most_similar(halves, centres, own)
    to_sibling = halves.unflatten(0, (-1, 2)).prod(1).sum(-1).repeat_interleave(2)
    is_sibling = (others.number[:, 0] < 0) | (to_sibling >= others.similarity[:, 0])
    of_sibling = others.similarity[torch.arange(len(own)) ^ 1, 0]
    back = torch.where(is_sibling, of_sibling, next_similar(similar, others.number[:, 0], own))
    similarity = torch.cat([others.similarity, to_sibling[:, None]], 1).topk(2, 1).values
    return distinctness(Similar(similarity, others.number), back)


def _agreement(groups: Totals) -> Float[Tensor, " groups"]:
    """Mean cosine between the members of each group; 0 for a group of one."""
    pairs = groups.weight.square() - groups.squares
    found = (groups.vector.square().sum(-1) - groups.squares) / pairs.clamp_min(LEAST_WEIGHT**2)
    return found.where(pairs > LEAST_WEIGHT**2, 0)
