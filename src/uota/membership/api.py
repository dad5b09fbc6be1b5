"""`misfiled`: which members do not belong to their group, of anything that has embeddings."""

import logging
from typing import Any

from uota.console import printable
from uota.membership.groups import judge_groups
from uota.membership.inputs.members import Members, members_of
from uota.membership.inputs.names import first_repeated, name_members, number_groups
from uota.membership.inputs.vectors import as_features, check_lengths
from uota.membership.members import check_members, score_vectors
from uota.membership.projection import project
from uota.membership.result import Misfiled
from uota.settings.ranges import RANGES, check_number

logger = logging.getLogger(__name__)


def misfiled(embeddings: Any, groups: Any, ids: Any = None, *, seed: int = 0) -> Misfiled:
    """Estimate for each member of a group the probability that it does not belong there.

    Nothing is trained: several ways to score members are tried on some that are exchanged between groups on purpose,
    and the one that finds those best is used. The arguments correspond by position, also those with an index of pandas.

    Args:
        embeddings: a row of numbers for each member: an array (members, dim), a tensor, a DataFrame of numbers, a
            Series or an Arrow array of lists, an Arrow table, or a list of rows; or a mapping of several of these by
            name, which are used together. Half and single precision are kept without a copy; other types are copied to
            single precision.
        groups: the group of each member: any sequence of texts, numbers or other hashable values. Equal values are one
            group. At least three groups of two or more members are needed.
        ids: name of each member, such as a file; None: its row, from 0.
        seed: of the exchanges and samples.

    Returns:
        The verdicts on members, in the order in which they are given, and on groups. `to_frame()` is a table of them,
        worst first, and `save("misfiled.csv")` writes it.

    Raises:
        UotaError: embeddings are not rows of finite numbers, lengths differ, groups or ids are missing, or there are
            too few groups. Rows are named, and none is left out, as the verdicts would no longer match the arguments.

    >>> import numpy as np, uota
    >>> groups = np.repeat(np.arange(20), 5)
    >>> embeddings = np.eye(20, dtype="float32")[groups] + 0.1 * np.random.default_rng(0).normal(size=(100, 20))
    >>> embeddings[7] = embeddings[93]  # which is of group 18
    >>> found = uota.misfiled(embeddings, groups)
    >>> found.to_frame()[["id", "group", "fits_better"]].values[0].tolist()
    ['7', '1', '18']
    """
    check_number("seed", seed, RANGES["seed"])
    features = as_features(embeddings)
    numbered = number_groups(groups)
    check_lengths(features, len(numbered.number))
    return judge(members_of(features, numbered, name_members(ids, len(numbered.number))), seed)


def judge(members: Members, seed: int = 0) -> Misfiled:
    """Judge members and their groups.

    Raises:
        UotaError: there are fewer than three groups of two or more members.
    """
    repeated = first_repeated(members.ids)
    if repeated is not None:
        logger.warning(f"several members have the {members.id_name} {printable(repeated)}, and perhaps others too")
    check_members(members.features, members.group)
    z = project(members.features, seed)
    verdicts = score_vectors(z, members.group, seed)
    groups = judge_groups(z, members.group, verdicts.probability, seed)
    return Misfiled(members.ids, members.names, verdicts, groups, members.id_name, members.origin)
