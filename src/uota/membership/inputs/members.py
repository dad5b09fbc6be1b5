"""Members that are ready to be judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor

from uota.membership.inputs.names import Numbered
from uota.membership.origin import Origin
from uota.membership.projection import Features


@dataclass(frozen=True)
class Members:
    """Members, their features and their groups.

    Attributes:
        features: features of each kind, all finite.
        group: number of each member's group.
        names: names of the groups.
        ids: name of each member.
        id_name: what such a name is: `file`, or `id` for anything else.
        origin: where they come from.
    """

    features: Features
    group: Int64[Tensor, " members"]
    names: Sequence[str]
    ids: Sequence[str]
    id_name: str = "id"
    origin: Origin = field(default_factory=Origin)


def members_of(
    features: Features,
    groups: Numbered,
    ids: Sequence[str] | None,
    id_name: str = "id",
    origin: Origin | None = None,
) -> Members:
    """Combine features, numbered groups and names; members without a name are known by their number."""
    group = torch.from_numpy(groups.number)
    names = ids or [str(row) for row in range(len(group))]
    return Members(features, group, groups.names, names, id_name, origin or Origin())
