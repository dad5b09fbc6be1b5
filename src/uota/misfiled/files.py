"""Which files lie in the wrong folder: the outlier probability of every file of every group."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from rich.progress import track
from torch import Tensor

from uota.arbitration import Arbiter, TwoGroups
from uota.arbitration.arbiter import Score
from uota.console import PROGRESS
from uota.data import Groups
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.csv_files import csv_text
from uota.views import ViewPipeline, Views

DRAWS = 8
BATCH = 128
# Groups of which halves can judge each other.
ENOUGH = 6
Look = Callable[[Views], Float[Tensor, "views batch dim"]]
Chunk = Sequence[int]


@dataclass(frozen=True)
class FileVerdicts:
    """What an arbiter says of files, mean over the views that showed them.

    Attributes:
        probability: that the file shows another thing than its group.
        score: of the arbiter; higher is better.
    """

    probability: Float[Tensor, " files"]
    score: Float[Tensor, " files"]

    def worst_first(self) -> Int64[Tensor, " files"]:
        """Files by falling probability; where that is the same, by rising score."""
        return torch.from_numpy(np.lexsort((self.score.numpy(), -self.probability.numpy())).copy())


def score_files(
    groups: Groups, pipeline: ViewPipeline, score: Score, see: Look, draws: int = DRAWS, bar: bool = True
) -> FileVerdicts:
    """Show every file of the groups in at least `draws` views, among others of its group, and score them.

    What scores are normal is estimated first, in a pass of its own, of these groups: what a score says of groups that
    it learned on is another thing.

    Args:
        groups: at least three.
        pipeline: makes the views.
        score: one that knows its nulls, such as an arbiter's; it does not learn here.
        see: what the score looks at.
        draws: passes over all files.
        bar: show a progress bar.

    Returns:
        The verdict on all of `groups.files`; NaN for those in none of the groups.
    """
    strength = TwoGroups()
    arbiter = Arbiter((score, strength)).eval()
    random = np.random.default_rng(pipeline.seed)
    views_of_item = pipeline.preset.views
    passes = (
        (draw, chunks) for draw in range(draws + 1) for chunks in iter_batches(groups.members, views_of_item, random)
    )
    total = (draws + 1) * sum(1 for _ in iter_batches(groups.members, views_of_item, np.random.default_rng(0)))
    sums = torch.zeros(3, len(groups.files), dtype=torch.float64)
    shown = track(passes, "looking at files", total, transient=True, disable=not bar, console=PROGRESS)
    for number, (draw, chunks) in enumerate(shown):
        strength.train(draw == 0)
        views = pipeline(Groups(groups.files, chunks), [(number, place) for place in range(len(chunks))])
        verdict = arbiter(see(views))
        if draw:
            assert verdict.outlier_probability is not None
            told = (verdict.outlier_probability, verdict.scores, torch.ones_like(verdict.scores))
            sums.index_add_(1, views.parameters.image.flatten(), torch.stack(told).flatten(1).double().cpu())
    probability, score_of_file = sums[:2] / sums[2]
    return FileVerdicts(probability, score_of_file)


def score_files_by_halves(
    groups: Groups,
    pipeline: ViewPipeline,
    learn: Callable[[Groups], Score],
    see: Look,
    draws: int = DRAWS,
    bar: bool = True,
) -> FileVerdicts:
    """As `judge`, by a score that learned on the other half of the groups.

    A file is wrong in its folder in every draw; a score that learned there has learned that it belongs there.
    """
    halves = [some_groups(groups, half) for half in halves_of(groups, pipeline.seed)]
    first, second = (
        score_files(judged, pipeline, learn(other), see, draws, bar)
        for judged, other in zip(halves, reversed(halves), strict=True)
    )
    unseen = first.probability.isnan()
    return FileVerdicts(
        torch.where(unseen, second.probability, first.probability), torch.where(unseen, second.score, first.score)
    )


def halves_of(groups: Groups, seed: int) -> tuple[list[int], list[int]]:
    """Places of the groups of one half, and of the other."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    return order[::2], order[1::2]


def some_groups(groups: Groups, places: Sequence[int]) -> Groups:
    """These groups, of all files."""
    return Groups(groups.files, [groups.members[place] for place in places])


def require_groups(groups: Groups, least: int) -> None:
    """Say that files cannot be told, where there are too few groups to know what is normal.

    Raises:
        UotaError: there are fewer than `least` groups.
    """
    if len(groups) < least:
        raise UotaError(
            f"{groups.name} has {len(groups)} groups; to say which files are wrong, at least {least} are needed"
        )


def iter_batches(members: Sequence[Chunk], views: int, random: np.random.Generator) -> Iterator[list[Chunk]]:
    """Hands of up to `views` images of one group, so that each image is dealt, in batches.

    No batch has two chunks of one group, which would look like strangers that are alike; where few groups have chunks
    left, others play again, so that there are always strangers.
    """
    chunks = [_chunks(random.permutation(group), views) for group in members]
    for turn in range(max(map(len, chunks))):
        order = random.permutation(len(chunks)).tolist()
        active = [chunks[group][turn] for group in order if turn < len(chunks[group])]
        again = [chunks[group][0] for group in order if turn >= len(chunks[group])]
        active += again[: max(0, BATCH - len(active))]
        for batch in np.array_split(np.arange(len(active)), ceil(len(active) / BATCH)):
            yield [active[place] for place in batch]


def write_files(judged: FileVerdicts, groups: Groups, fits: Int64[Tensor, " files"], out: Path) -> None:
    """Write file, group, outlier probability and the other group that the file is most like, worst first, as CSV.

    Text that a spreadsheet would run has an apostrophe before it.

    Args:
        judged: of all files.
        groups: of a folder; files of it that cannot be read are left out.
        fits: of each file the place of that other group.
        out: the file.

    Raises:
        UotaError: the file cannot be written.
    """
    files = groups.files
    group_of = {index: place for place, members in enumerate(groups.members) for index in members}
    unreadable = groups.unreadable(torch.arange(len(files)))
    rows: list[tuple[Any, ...]] = [("file", "group", "outlier_probability", "fits_better")]
    for index in judged.worst_first().tolist():
        if not unreadable[index]:
            group, other = (groups.display_name(place) for place in (group_of[index], int(fits[index])))
            file = files.path(index) or files.display_name(index)
            rows.append((file, group, f"{float(judged.probability[index]):.4f}", other))
    write_text_atomically(out, csv_text(rows))


def _chunks(images: np.ndarray, views: int) -> list[Chunk]:
    """All images, `views` at a time; the last hand is filled up with images of the first."""
    size = min(views, len(images))
    return [np.take(images, range(start, start + size), mode="wrap").tolist() for start in range(0, len(images), size)]
