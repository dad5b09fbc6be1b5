"""Groups that show two things: how far apart the two parts of each group are that differ most.

A group of two things on purpose is made of parts of two other groups, of about its size.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.membership.filing import Block, Filing, blocks, halve, some_groups, sums, totals
from uota.membership.grouped import LEAST_VARIANCE
from uota.membership.mixture import Nulls, estimate
from uota.membership.projection import Vectors
from uota.numerics import seed_of

# Fewest members of a part; one member that differs is a misfiled one.
LEAST = 2
# What a probable outlier is denied of its weight. In a group of two things all of the smaller part look like outliers,
# so that they must count. With 15 % misfiled besides, the AUROC of mixed groups is 0.80 with 0, 0.90 with 0.5 and 0.87
# with 1 (stamps), 0.87, 0.90 and 0.69 (garments).
DENIED = 0.5
# Other groups that the parts are compared with; of more, a random sample.
OTHERS = 4096
# Steps of the power iteration and of 2-means.
STEPS = 8
# About how many groups are mixed on purpose, and how often.
MIXED, REPEATS = 2000, 10
# Standard deviation of log(size) between groups that are mixed.
SIZES_APART = 0.1


@dataclass(frozen=True)
class Splits:
    """How each group would be split.

    Attributes:
        probability: probability that a group shows two things.
        part: of each filed member, 0 or 1: the larger and the smaller part; all 0 if no two parts of at least `LEAST`
            members differ most.
    """

    probability: Float[Tensor, " groups"]
    part: Int64[Tensor, " filed"]


@dataclass(frozen=True)
class Others:
    """Centres of groups that parts of other groups are compared with.

    Attributes:
        centres: unit vectors.
        number: numbers of these groups.
    """

    centres: Float[Tensor, "others dim"]
    number: Int64[Tensor, " others"]


def find_splits(z: Vectors, probability: Float[Tensor, " members"], filing: Filing, seed: int) -> Splits:
    """Find groups that show two things.

    Groups of fewer than four members have no two parts of two members; their probability is 0, and so is that of all if
    only one group has more.

    Args:
        z: unit vectors.
        probability: of each member not to belong to its group.
        filing: the groups.
        seed: of the mixed groups and samples.
    """
    able = torch.nonzero(filing.sizes >= 2 * LEAST)[:, 0]
    weight = (1 - DENIED * probability).to(z.dtype)
    found = torch.zeros(len(filing.sizes), dtype=z.dtype)
    part = torch.zeros_like(filing.group)
    if len(able) < 2:
        return Splits(found, part)
    centres = totals(z, weight, filing).centres
    number = torch.randperm(len(centres), generator=torch.Generator().manual_seed(seed))[:OTHERS]
    others = Others(centres[number], number)
    observed, part_of_able = cohesion(z, weight, some_groups(filing, able), others, able[:, None])
    null = _mixed(z, weight, filing, able, others, seed)
    found[able] = estimate(observed, Nulls(null)).probability.to(z.dtype)
    part[torch.isin(filing.group, able)] = part_of_able
    return Splits(found, part)


def cohesion(
    z: Vectors,
    weight: Float[Tensor, " members"],
    filing: Filing,
    others: Others,
    own: Int64[Tensor, "groups own"],
) -> tuple[Float[Tensor, " groups"], Int64[Tensor, " filed"]]:
    """Return how much more similar two parts of a group are than either is to its most similar other group.

    It is the cosine between the centres of the parts, minus the mean of their cosines to the most similar other
    centres; infinite if a part has fewer than `LEAST` members.

    Args:
        z: unit vectors of all members, filed or not.
        weight: what each of them counts.
        filing: the groups.
        others: centres to compare with.
        own: of each group, numbers of those among the others that are no others for it.

    Returns:
        The cohesion of each group, and the part of each filed member: 0 the larger, 1 the smaller; all 0 where the
        cohesion is infinite.
    """
    found, parts = [], []
    for block in blocks(z, weight, filing):
        part = two_parts(block)
        of_part = 2 * block.group + part
        count = of_part.bincount(minlength=2 * block.count).view(-1, 2)
        smaller = count.argmin(1)
        enough = count.min(1).values >= LEAST
        centres = normalize(sums(block.weight[:, None] * block.z, of_part, 2 * block.count), dim=-1).unflatten(
            0, (-1, 2)
        )
        to_others = centres @ others.centres.T
        no_others = (own[block.groups, :, None] == others.number).any(1)
        best = to_others.masked_fill_(no_others[:, None], -1).amax(2)
        apart = centres.prod(1).sum(-1) - best.mean(1)
        found.append(apart.masked_fill(~enough, torch.inf))
        parts.append(((part == smaller[block.group]) & enough[block.group]).long())
    return torch.cat(found), torch.cat(parts)


def two_parts(block: Block) -> Int64[Tensor, " members"]:
    """Divide each group by 2-means, started on both sides of its centre along its first principal direction.

    The direction is found by power iteration from the member that is farthest from the centre. Members of groups whose
    vectors are identical are all in part 0.
    """
    weight, group = block.weight, block.group
    mass = sums(weight, group, block.count)
    mean = block.sums(weight) / mass[:, None]
    direction = _farthest(block, mean) - mean
    identical = direction.square().sum(-1) < LEAST_VARIANCE
    for _ in range(STEPS):
        along = weight * _beyond(block, direction, (mean * direction).sum(-1))
        direction = normalize(block.sums(along) - sums(along, group, block.count)[:, None] * mean, dim=-1)
    part = _beyond(block, direction, (mean * direction).sum(-1)) > 0
    for _ in range(STEPS):
        right = block.sums(weight * part)
        right_mass = sums(weight * part, group, block.count)[:, None]
        right_mean = right / right_mass.clamp_min(LEAST_VARIANCE)
        left_mean = (mean * mass[:, None] - right) / (mass[:, None] - right_mass).clamp_min(LEAST_VARIANCE)
        middle = (right_mean.square() - left_mean.square()).sum(-1) / 2
        new = _beyond(block, right_mean - left_mean, middle) > 0
        if torch.equal(new, part):
            break
        part = new
    return (part & ~identical[group]).long()


def _farthest(block: Block, mean: Float[Tensor, "groups dim"]) -> Float[Tensor, "groups dim"]:
    """Return the member of each group that is least similar to its centre; of equal ones, the first."""
    similar = _beyond(block, mean, torch.zeros_like(mean[:, 0]))
    least = similar.new_full((block.count,), torch.inf).scatter_reduce(0, block.group, similar, "amin")
    rows = torch.arange(len(similar)).where(similar == least[block.group], len(similar))
    return block.z[torch.full((block.count,), len(similar)).scatter_reduce(0, block.group, rows, "amin")]


def _beyond(block: Block, direction: Float[Tensor, "groups dim"], bound: Float[Tensor, " groups"]) -> Tensor:
    """Return how far each member is along its group's direction, beyond the group's bound."""
    return (block.z * direction[block.group]).sum(-1) - bound[block.group]


def _mixed(
    z: Vectors,
    weight: Float[Tensor, " members"],
    filing: Filing,
    able: Int64[Tensor, " able"],
    others: Others,
    seed: int,
) -> Float[Tensor, " mixed"]:
    """Return the cohesion of groups that are parts of two groups of about equal size."""
    sizes = filing.sizes[able].double().log()
    found = []
    for repeat in range(min(REPEATS, 1 + MIXED // len(able))):
        random = torch.Generator().manual_seed(seed_of(seed, repeat, 2))
        pairs = min(MIXED, len(able)) // 2
        jitter = SIZES_APART * torch.randn(len(able), generator=random, dtype=torch.float64)
        order = able[(sizes + jitter).argsort()][: len(able) // 2 * 2].view(-1, 2)
        pair = order[torch.randperm(len(order), generator=random)[:pairs]]
        chosen = some_groups(filing, pair.flatten())
        swapped = halve(chosen, LEAST, seed_of(seed, repeat, 3)) == 1
        group = torch.where(swapped, chosen.group ^ 1, chosen.group)
        by_group = group.argsort(stable=True)
        mixed = Filing(chosen.members[by_group], group[by_group])
        found.append(cohesion(z, weight, mixed, others, pair.repeat_interleave(2, 0))[0])
    return torch.cat(found)
