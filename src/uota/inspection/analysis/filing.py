"""Of groups: which files look misfiled, and in which group they would fit better."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from rich.progress import track
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.arbiter import Score
from uota.console import PROGRESS
from uota.data import Groups
from uota.inspection.arbiters import ArbiterSet, train_arbiter
from uota.inspection.input import InspectionInput, Stream
from uota.misfiled.files import (
    ENOUGH,
    FileVerdicts,
    iter_batches,
    require_groups,
    score_files,
    score_files_by_halves,
    some_groups,
)
from uota.views import ViewPipeline, Views

# Passes over all files for what they look like.
LOOKS = 2


@dataclass(frozen=True)
class Filing:
    """What is said of every file.

    Attributes:
        groups: with all files.
        judged: how probably each is in a wrong group.
        group: of each file its group's place in `groups.members`; -1 where the file cannot be read.
        fits: of each file the place of the group, other than its own, that it is most like.
    """

    groups: Groups
    judged: FileVerdicts
    group: Int64[Tensor, " files"]
    fits: Int64[Tensor, " files"]

    @property
    def share(self) -> float:
        """Estimated share of files in a wrong group."""
        return float(self.judged.probability[self.group >= 0].mean())


def file_groups(subject: InspectionInput, panel: ArbiterSet, seconds: float, bar: bool = True) -> Filing:
    """Judge all files of all groups, by a run's arbiter, or by two that learn on half of the groups each: that of the
    panel, and one more.

    Raises:
        UotaError: there are too few groups to tell.
    """
    groups = subject.groups
    assert groups is not None
    pipeline = ViewPipeline(subject.preset, subject.pipeline.seed)

    def see(views: Views) -> Tensor:
        return panel.eyes(views).features

    if subject.run is None:
        require_groups(groups, ENOUGH)
        assert panel.learned is not None
        assert subject.halves is not None
        known, its = panel.learned, some_groups(groups, subject.halves[0])

        def learn(half: Groups) -> Score:
            return (known if half.members == its.members else train_arbiter(Stream(half, pipeline), see, seconds)).score

        judged = score_files_by_halves(groups, pipeline, learn, see, bar=bar)
    else:
        require_groups(groups, 3)
        arbiter = panel.learned if panel.own == "learned" else None
        eyes = see if arbiter else lambda views: panel.embeddings(panel.eyes(views))
        judged = score_files(groups, pipeline, (arbiter or panel.two_groups).score, eyes, bar=bar)
    group = torch.full((len(groups.files),), -1)
    for place, members in enumerate(groups.members):
        group[list(members)] = place
    group[groups.unreadable(torch.arange(len(groups.files)))] = -1
    looks = _looks(groups, pipeline, panel, bar)
    return Filing(groups, judged, group, _better(looks, group, judged.probability, len(groups)))


def _looks(groups: Groups, pipeline: ViewPipeline, panel: ArbiterSet, bar: bool) -> Float[Tensor, "files dim"]:
    """Mean embedding of the views of each file."""
    random = np.random.default_rng(pipeline.seed)
    hands = [hand for _ in range(LOOKS) for hand in iter_batches(groups.members, pipeline.preset.views, random)]
    sums: Tensor | None = None
    for number, dealt in enumerate(track(hands, "comparing groups", transient=True, disable=not bar, console=PROGRESS)):
        views = pipeline(Groups(groups.files, dealt), [(number, place) for place in range(len(dealt))])
        z = normalize(panel.embeddings(panel.eyes(views)).float(), dim=-1).flatten(0, 1)
        sums = torch.zeros(len(groups.files), z.shape[1]) if sums is None else sums
        sums.index_add_(0, views.parameters.image.flatten(), z)
    assert sums is not None
    return normalize(sums, dim=-1)


def _better(
    looks: Float[Tensor, "files dim"],
    group: Int64[Tensor, " files"],
    wrong: Float[Tensor, " files"],
    groups: int,
) -> Int64[Tensor, " files"]:
    """The nearest other group: centres are of the files that probably belong there."""
    filed = group >= 0
    belongs = (1 - wrong[filed]).clamp_min(1e-3).nan_to_num(1e-3).to(looks)
    sums = torch.zeros(groups, looks.shape[1]).index_add_(0, group[filed], belongs[:, None] * looks[filed])
    centres = normalize(sums, dim=-1)
    fits = torch.full_like(group, -1)
    for part in filed.nonzero()[:, 0].split(4096):
        likeness = looks[part] @ centres.T
        likeness[torch.arange(len(part)), group[part]] = -torch.inf
        fits[part] = likeness.argmax(1)
    return fits
