"""Members of groups of any sizes, by their unit vectors: what scores of membership are computed from.

All of it is linear in the members: sums over groups, and comparisons with samples of bounded size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.distributed import sum_over_ranks
from uota.membership.in_blocks import in_blocks
from uota.membership.projection import Vectors
from uota.membership.shares import of_all_ranks, own_blocks, own_share

# A member counts exp(DOUBT · cosine to the other members) in the centre of its group.
DOUBT = 8.0
# Own members that a member is compared with one by one, and other groups whose centres it is compared with; of more, a
# random sample.
PARTNERS, REFERENCES = 32, 1024
# Members of other groups that a member is compared with one by one, of more than `ROWS`.
STRANGERS = 2048
# Members whose vectors are held at once, and whose similarities to others; the latter should stay in a cache.
ROWS, FEW = 4096, 512
# Least variance of cosines, so that identical vectors do not divide by 0.
LEAST_VARIANCE = 1e-6
# Temperatures of means over other groups' centres, and of those over single members.
TEMPERATURES, NEAR = (0.05, 0.1, 0.3), (0.05, 0.1)


@dataclass(frozen=True)
class Grouped:
    """Members and their groups.

    Attributes:
        z: unit vectors.
        group: number of each member's group; every number below `groups` occurs.
        groups: number of groups.
        seed: of the samples.
        gram: cosines of all members to each other, if they are known.
        chosen: members that are scored; None: all.
        absent: of each of these, the number of a group that it is not compared with, or -1; None: no such groups.
    """

    z: Vectors
    group: Int64[Tensor, " members"]
    groups: int
    seed: int = 0
    gram: Float[Tensor, "members members"] | None = None
    chosen: Int64[Tensor, " rows"] | None = None
    absent: Int64[Tensor, " rows"] | None = None

    @cached_property
    def hidden(self) -> Int64[Tensor, " rows"]:
        """The group that each scored member is not compared with; -1: none."""
        return torch.full_like(self.rows, -1) if self.absent is None else self.absent

    @cached_property
    def rows(self) -> Int64[Tensor, " rows"]:
        """The members that are scored."""
        return torch.arange(len(self.group)) if self.chosen is None else self.chosen

    @cached_property
    def sizes(self) -> Int64[Tensor, " groups"]:
        """Number of members of each group."""
        return self.group.bincount(minlength=self.groups)

    @cached_property
    def sums(self) -> Float[Tensor, "groups dim"]:
        """Sum of the vectors of each group."""
        found = torch.zeros(self.groups, self.z.shape[1], dtype=self.z.dtype)
        for rows in own_blocks(len(self.z)):
            found.index_add_(0, self.group[rows], self.z[rows])
        return sum_over_ranks(found)

    @cached_property
    def counted(self) -> tuple[Float[Tensor, " members"], Float[Tensor, "groups dim"]]:
        """What each member counts in its centre, the less, the less it agrees with the others; and the sums of that."""
        own, totals = own_share(torch.arange(len(self.z))), torch.zeros_like(self.sums)

        def count(block: slice) -> tuple[Tensor]:
            z, group = self.z[own[block]], self.group[own[block]]
            weight = (DOUBT * (cosine(z, self.sums[group] - z) - 1)).exp_()
            totals.index_add_(0, group, weight[:, None] * z)
            return (weight,)

        return of_all_ranks(*in_blocks(len(own), ROWS, count))[0], sum_over_ranks(totals)

    @cached_property
    def mean(self) -> Float[Tensor, " dim"]:
        """Mean of all vectors."""
        return (self.sums.sum(0, dtype=torch.float64) / len(self.z)).to(self.z.dtype)

    @property
    def weight(self) -> Float[Tensor, " members"]:
        """What each member counts in the centre of its group, which is the less, the less it agrees with the others."""
        return self.counted[0]

    @property
    def totals(self) -> Float[Tensor, "groups dim"]:
        """Sum of what the members count."""
        return self.counted[1]

    @cached_property
    def centres(self) -> Float[Tensor, "groups dim"]:
        """Unit vector of each group's centre."""
        return normalize(self.totals, dim=-1)

    @cached_property
    def own(self) -> Float[Tensor, " rows"]:
        """Cosine of each member to the centre of the other members of its group; 0 if there are none."""
        return self._of_rows(lambda rows, z: cosine(z, self.totals[self.group[rows]] - self.weight[rows, None] * z))

    @cached_property
    def plain(self) -> Float[Tensor, " rows"]:
        """Cosine of each member to the mean of the other members of its group, which all count the same."""
        return self._of_rows(lambda rows, z: cosine(z, self.sums[self.group[rows]] - z))

    @cached_property
    def to_all(self) -> Float[Tensor, " rows"]:
        """Mean cosine of each member to all members."""
        return self._of_rows(lambda rows, z: z @ self.mean)

    @cached_property
    def to_partners(self) -> Float[Tensor, "rows partners"]:
        """Cosines of each member to others of its group, at random if there are more than `PARTNERS`; −1: no other.

        The members of a group stand in a circle in random order, and each is compared with those after it.
        """
        random = torch.Generator().manual_seed(self.seed)
        shuffled = torch.randperm(len(self.group), generator=random)
        circles = shuffled[self.group[shuffled].argsort(stable=True)]
        place = torch.empty_like(circles).scatter_(0, circles, torch.arange(len(circles)))[self.rows]
        steps = torch.arange(1, 1 + min(PARTNERS, max(int(self.sizes.max()) - 1, 1)))
        found = torch.empty(len(self.rows), len(steps), dtype=self.z.dtype)
        for part in place.argsort().split(FEW):  # side by side, so that many have the same partners
            size, start = self._circle(part)
            partner = start[:, None] + ((place[part] - start)[:, None] + steps) % size[:, None]
            partners, number = circles[partner].unique(return_inverse=True)
            cosines = self._cosines(self.rows[part], partners).gather(1, number)
            found[part] = cosines.masked_fill_(steps >= size[:, None], -1)
        return found

    def _circle(self, part: Int64[Tensor, " part"]) -> tuple[Int64[Tensor, " part"], Int64[Tensor, " part"]]:
        """Return the sizes of the groups of some rows, and where these start in the circles of all."""
        group = self.group[self.rows[part]]
        return self.sizes[group], (self.sizes.cumsum(0) - self.sizes)[group]

    @cached_property
    def crowd(self) -> "Crowd":
        """Cosines of each member to the centres of other groups, summarised; of many groups, of a random sample."""
        chosen = self._sample(self.groups, REFERENCES)
        centres = self.centres[chosen]

        def summarise(block: slice) -> list[Tensor]:
            rows = self.rows[block]
            no_other = (self.group[rows, None] == chosen) | (self.hidden[block, None] == chosen)
            return _summarised(self.z[rows] @ centres.T, no_other, self.own[block])

        mean, deviation, nearest, nearer, *soft = in_blocks(len(self.rows), FEW, summarise)
        return Crowd(mean, deviation, nearest, nearer, dict(zip(TEMPERATURES, soft, strict=True)))

    @cached_property
    def neighbours(self) -> Mapping[float, Float[Tensor, " rows"]]:
        """Soft maximum of the cosines to other own members, minus that to members of other groups, by temperature.

        Of more than `ROWS` members, a random sample is compared, along with the partners of each.
        """
        size = ROWS if len(self.z) <= ROWS else STRANGERS
        chosen = self._sample(len(self.z), size)
        no_partners = torch.empty(len(self.rows), 0, dtype=self.z.dtype)
        partners = self.to_partners if len(chosen) < len(self.z) else no_partners
        z = self.z[chosen]

        def compare(block: slice) -> list[Tensor]:
            rows, near = self.rows[block], partners[block]
            cosines = self.z[rows] @ z.T if self.gram is None else self.gram[rows][:, chosen]
            same = self.group[rows, None] == self.group[chosen]
            self_or_others = ~same | (rows[:, None] == chosen)
            no_other = same | (self.hidden[block, None] == self.group[chosen])
            near = near.masked_fill(near == -1, -torch.inf)
            count = (~self_or_others).sum(1) + near.isfinite().sum(1), (~no_other).sum(1)
            margins = []
            for t in NEAR:
                like = ((cosines - 1) / t).exp_()
                own = like.masked_fill(self_or_others, 0).sum(1) + ((near - 1) / t).exp().sum(1)
                others = like.masked_fill_(no_other, 0).sum(1)
                soft = [_soft(total, number, t) for total, number in zip((own, others), count, strict=True)]
                margins.append(soft[0] - soft[1])
            return margins

        return dict(zip(NEAR, in_blocks(len(self.rows), FEW, compare), strict=True))

    def _cosines(self, rows: Int64[Tensor, " rows"], others: Int64[Tensor, " others"]) -> Tensor:
        """Return the cosines of some members to others."""
        return self.z[rows] @ self.z[others].T if self.gram is None else self.gram[rows][:, others]

    def _of_rows(self, of: Callable[[Int64[Tensor, " part"], Tensor], Tensor]) -> Float[Tensor, " rows"]:
        """Compute something of the members that are scored and their vectors, part by part."""
        return in_blocks(len(self.rows), ROWS, lambda block: [of(self.rows[block], self.z[self.rows[block]])])[0]

    @cached_property
    def strangers(self) -> tuple[Float[Tensor, " groups"], Float[Tensor, " groups"]]:
        """Mean and standard deviation of each centre's cosines to members of other groups, sampled from many."""
        chosen = self._sample(len(self.z), ROWS)
        z, group, number = self.z[chosen], self.group[chosen], torch.arange(self.groups)
        mean, deviation = in_blocks(
            self.groups, FEW, lambda block: moments(self.centres[block] @ z.T, number[block, None] == group)
        )
        return mean, deviation

    def _sample(self, count: int, size: int) -> Int64[Tensor, " sample"]:
        """Draw up to `size` of the first `count` numbers."""
        return torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))[:size]


@dataclass(frozen=True)
class Crowd:
    """Cosines of each member to the centres of other groups.

    Attributes:
        mean, deviation: mean and standard deviation.
        nearest: the largest; −1 if there are no other groups.
        nearer: share of those that are larger than the cosine to the other members of the own group.
        soft_maximum: T · log-mean-exp(cosine / T), by T.
    """

    mean: Float[Tensor, " members"]
    deviation: Float[Tensor, " members"]
    nearest: Float[Tensor, " members"]
    nearer: Float[Tensor, " members"]
    soft_maximum: Mapping[float, Float[Tensor, " members"]]


def cosine(x: Float[Tensor, "rows dim"], y: Float[Tensor, "rows dim"]) -> Float[Tensor, " rows"]:
    """Cosine of unit vectors x to vectors y of any length."""
    return (x * normalize(y, dim=-1)).sum(-1)


def moments(cosines: Float[Tensor, "rows others"], own: Bool[Tensor, "rows others"]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each row's entries that are not its own."""
    count = (~own).sum(1).clamp_min(1)
    mean = cosines.masked_fill(own, 0).sum(1) / count
    squares = (cosines - mean[:, None]).masked_fill(own, 0).square().sum(1)
    return mean, (squares / count).clamp_min(LEAST_VARIANCE).sqrt()


def soft_maximum(cosines: Float[Tensor, "rows others"], temperature: float) -> Float[Tensor, " rows"]:
    """T · log-mean-exp(cosine / T) over the finite entries of each row; −1 if there are none."""
    count = cosines.isfinite().sum(1)
    found = temperature * ((cosines / temperature).logsumexp(1) - count.to(cosines).log())
    return torch.where(count > 0, found, -1)


def _soft(total: Float[Tensor, " rows"], count: Int64[Tensor, " rows"], temperature: float) -> Tensor:
    """T · log-mean-exp(cosine / T), given the sum of exp((cosine − 1) / T); −1 if there are none."""
    return torch.where(count > 0, 1 + temperature * (total / count.clamp_min(1)).log(), -1)


def _summarised(
    cosines: Float[Tensor, "rows groups"], own: Bool[Tensor, "rows groups"], to_own: Float[Tensor, " rows"]
) -> list[Tensor]:
    masked = cosines.masked_fill(own, -torch.inf)
    nearest = masked.max(1).values.clamp_min(-1)
    nearer = (masked > to_own[:, None]).sum(1).to(cosines) / (~own).sum(1).clamp_min(1)
    return [*moments(cosines, own), nearest, nearer, *(soft_maximum(masked, t) for t in TEMPERATURES)]
