"""Lists of misfiled drawings by their suspicion, and how good they are."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from sklearn.metrics import average_precision_score
from torch import Tensor

from uota.data import Groups
from uota.demo.archive import is_misfiled
from uota.membership.api import judge
from uota.membership.filing import sums
from uota.membership.grouped import cosine
from uota.membership.inputs.pictures import file_members
from uota.membership.members import score_members
from uota.membership.projection import Features, project
from uota.membership.result import Misfiled
from uota.membership.verdicts import MemberVerdicts


class Lists(NamedTuple):
    """The package's verdicts on all files of an archive, and the average precision of lists.

    Attributes:
        found: the verdicts.
        wrong: True for misfiled files.
        precision: average precision of each list, by what it is made by.
    """

    found: Misfiled
    wrong: Bool[Tensor, " files"]
    precision: dict[str, float]


def make_lists(groups: Groups, features: Features, seed: int) -> Lists:
    """List the misfiled files of an archive by the package, and by the distance to the group's centre.

    Args:
        groups: groups of an archive, whose file names say which are misfiled.
        features: features of all files, by kind.
        seed: of the package's list.
    """
    found = judge(file_members(groups, features, groups.name), seed)
    wrong, group = truth(groups), found.members.group
    same = project(features)[:]
    raw = project({"pixels": pixels(groups)})[:]
    by = {
        "uota": suspicion(found.members),
        "distance to the group's centre, same features": distance_to_centre(same, group),
        "distance to the group's centre, pixels": distance_to_centre(raw, group),
    }
    return Lists(found, wrong, {name: average_precision(wrong, each) for name, each in by.items()})


def precision_of(groups: Groups, features: Features, seed: int) -> float:
    """Return the average precision of the package's list by these features of all files."""
    members = file_members(groups, features, groups.name)
    return average_precision(truth(groups), suspicion(score_members(members.features, members.group, seed)))


def truth(groups: Groups) -> Bool[Tensor, " files"]:
    """Return which files of an archive are misfiled."""
    paths = [groups.files.path(index) for index in range(len(groups.files))]
    return torch.tensor([path is not None and is_misfiled(path) for path in paths])


def suspicion(verdicts: MemberVerdicts) -> Float[Tensor, " files"]:
    """Return numbers that are the higher, the earlier a file stands on the list."""
    return torch.tensor(verdicts.worst_first()).argsort().neg().double()


def distance_to_centre(z: Float[Tensor, "files dim"], group: Int64[Tensor, " files"]) -> Float[Tensor, " files"]:
    """Return the cosine distance of unit vectors to the mean of the other files of their group."""
    return 1 - cosine(z, sums(z, group, int(group.max()) + 1)[group] - z)


def average_precision(wrong: Bool[Tensor, " files"], suspicion: Float[Tensor, " files"]) -> float:
    """Return the average precision of finding the wrong files; ties count as scikit-learn counts them."""
    return float(average_precision_score(wrong.numpy(), suspicion.numpy()))


def pixels(groups: Groups) -> Float[Tensor, "files values"]:
    """Return the pixels of all files, which have one size."""
    images = groups.files.images(range(len(groups.files)))
    return torch.stack(images).flatten(1).float() / 255
