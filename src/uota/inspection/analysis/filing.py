"""Files that look misfiled, and the groups that they would fit better."""

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
    MIN_GROUPS,
    FileVerdicts,
    iter_batches,
    require_groups,
    score_files,
    score_files_by_halves,
    select_groups,
)
from uota.views import ViewPipeline, Views

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


def find_misfiled(subject: InspectionInput, arbiters: ArbiterSet, seconds: float, bar: bool = True) -> Filing:
    """Score all files of all groups, with a run's arbiter or with two that are each trained on half of the groups.

    Without a run, the first of the two is the learned one of `arbiters`; the second is trained here.

    Raises:
        UotaError: there are too few groups.
    """
    groups = subject.groups
    assert groups is not None
    pipeline = ViewPipeline(subject.preset, subject.pipeline.seed)

    def extract(views: Views) -> Tensor:
        return arbiters.extract(views).features

    if subject.run is None:
        require_groups(groups, MIN_GROUPS)
        assert arbiters.learned is not None
        assert subject.halves is not None
        trained, trained_on = arbiters.learned, select_groups(groups, subject.halves[0])

        def train(half: Groups) -> Score:
            is_trained = half.members == trained_on.members
            return (trained if is_trained else train_arbiter(Stream(half, pipeline), extract, seconds)).score

        verdicts = score_files_by_halves(groups, pipeline, train, extract, bar=bar)
    else:
        require_groups(groups, 3)
        arbiter = arbiters.learned if arbiters.primary == "learned" else None
        scored = extract if arbiter else lambda views: arbiters.embeddings(arbiters.extract(views))
        verdicts = score_files(groups, pipeline, (arbiter or arbiters.two_groups).score, scored, bar=bar)
    group = torch.full((len(groups.files),), -1)
    for place, members in enumerate(groups.members):
        group[list(members)] = place
    group[groups.unreadable(torch.arange(len(groups.files)))] = -1
    embeddings = _mean_embeddings(groups, pipeline, arbiters, bar)
    fits = _nearest_other_group(embeddings, group, verdicts.probability, len(groups))
    return Filing(groups, verdicts, group, fits)


def _mean_embeddings(
    groups: Groups, pipeline: ViewPipeline, arbiters: ArbiterSet, bar: bool
) -> Float[Tensor, "files dim"]:
    """Return the mean embedding of the views of each file, normalised."""
    random = np.random.default_rng(pipeline.seed)
    batches = [batch for _ in range(PASSES) for batch in iter_batches(groups.members, pipeline.preset.views, random)]
    sums: Tensor | None = None
    shown = track(batches, "comparing groups", transient=True, disable=not bar, console=PROGRESS)
    for number, chunks in enumerate(shown):
        views = pipeline(Groups(groups.files, chunks), [(number, place) for place in range(len(chunks))])
        z = normalize(arbiters.embeddings(arbiters.extract(views)).float(), dim=-1).flatten(0, 1)
        sums = torch.zeros(len(groups.files), z.shape[1]) if sums is None else sums
        sums.index_add_(0, views.parameters.image.flatten(), z)
    assert sums is not None
    return normalize(sums, dim=-1)


def _nearest_other_group(
    embeddings: Float[Tensor, "files dim"],
    group: Int64[Tensor, " files"],
    wrong: Float[Tensor, " files"],
    groups: int,
) -> Int64[Tensor, " files"]:
    """Return the nearest other group of each file; the centre of a group weights files by their inlier probability."""
    filed = group >= 0
    belongs = (1 - wrong[filed]).clamp_min(1e-3).nan_to_num(1e-3).to(embeddings)
    sums = torch.zeros(groups, embeddings.shape[1]).index_add_(0, group[filed], belongs[:, None] * embeddings[filed])
    centres = normalize(sums, dim=-1)
    fits = torch.full_like(group, -1)
    for part in filed.nonzero()[:, 0].split(4096):
        similarity = embeddings[part] @ centres.T
        similarity[torch.arange(len(part)), group[part]] = -torch.inf
        fits[part] = similarity.argmax(1)
    return fits
