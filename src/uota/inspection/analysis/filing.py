"""Files that look misfiled, and the groups that they would fit better."""

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from uota.data import Groups
from uota.inspection.arbiters import ArbiterSet
from uota.inspection.input import InspectionInput
from uota.misfiled.files import (
    FileVerdicts,
)

# Passes over all files to average their embeddings.
PASSES = 2


@dataclass(frozen=True)
class Filing:
    """Verdicts on all files of the groups.

    Attributes:
        groups: the groups and all their files.
        verdicts: probability that each file is in the wrong group.
        group: index in `groups.members` of each file's group; -1 if the file cannot be read.
        fits: index of the other group that each file is most similar to.
    """

    groups: Groups
    verdicts: FileVerdicts
    group: Int64[Tensor, " files"]
    fits: Int64[Tensor, " files"]

    @property
    def share(self) -> float:
        """Estimated share of files in the wrong group."""
        return float(self.verdicts.probability[self.group >= 0].mean())


def find_misfiled(subject: InspectionInput, arbiters: ArbiterSet) -> Filing:
    raise NotImplementedError
