"""Files that look misfiled, and the groups that they would fit better."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from uota.data import Groups
from uota.membership.eyes import FileEyes, default_eyes, file_features
from uota.membership.files import FileVerdicts
from uota.membership.injection import Choice
from uota.membership.members import score_members
from uota.membership.projection import Features


@dataclass(frozen=True)
class Filing:
    """Verdicts on all files of the groups.

    Attributes:
        groups: the groups and all their files.
        verdicts: probability that each file is in the wrong group.
        group: index in `groups.members` of each file's group; -1 if the file cannot be read or is in no group.
        fits: index of the other group that each file fits best; -1 as for `group`.
        share: estimated share of files in the wrong group.
        interval: its 95 % interval.
        choice: how the score was chosen.
    """

    groups: Groups
    verdicts: FileVerdicts
    group: Int64[Tensor, " files"]
    fits: Int64[Tensor, " files"]
    share: float
    interval: tuple[float, float]
    choice: Choice


def find_misfiled(groups: Groups, eyes: FileEyes | None = None, seed: int = 0, bar: bool = True) -> Filing:
    """Score all readable files of all groups by features of whole files.

    Args:
        groups: the groups.
        eyes: what the files are seen with; None: the embedded pretrained encoder.
        seed: of the score's choice and estimates.
        bar: show a progress bar.

    Raises:
        UotaError: there are fewer than three groups of two or more readable files.
    """
    files = groups.files
    return judge_files(groups, file_features(files, eyes or default_eyes(files), bar), seed)


def judge_files(groups: Groups, features: Features, seed: int = 0) -> Filing:
    """Score all readable files of all groups by features that are already computed.

    Args:
        groups: the groups.
        features: features of all files, by kind.
        seed: of the score's choice and estimates.

    Raises:
        UotaError: there are fewer than three groups of two or more readable files.
    """
    files = groups.files
    group = torch.full((len(files),), -1)
    for place, members in enumerate(groups.members):
        group[list(members)] = place
    group[groups.unreadable(torch.arange(len(files)))] = -1
    filed = group >= 0
    found = score_members({name: each[filed] for name, each in features.items()}, group[filed], seed)
    unknown = torch.full((len(files),), torch.nan)
    verdicts = FileVerdicts(
        unknown.masked_scatter(filed, found.probability), unknown.masked_scatter(filed, found.score)
    )
    fits = torch.full_like(group, -1).masked_scatter(filed, found.fits)
    return Filing(groups, verdicts, group, fits, found.share, found.interval, found.choice)
