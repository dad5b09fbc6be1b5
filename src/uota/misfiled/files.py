"""Detection of misfiled files: the outlier probability of each file among the files of its group."""

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
# Fewest groups that can be split in halves, with an arbiter trained on each half.
MIN_GROUPS = 6
Extract = Callable[[Views], Float[Tensor, "views batch dim"]]
Chunk = Sequence[int]


@dataclass(frozen=True)
class FileVerdicts:
    """An arbiter's verdicts on files, averaged over the views that show them.

    Attributes:
        probability: probability that the file shows something else than its group.
        score: mean score; higher is better.
    """

    probability: Float[Tensor, " files"]
    score: Float[Tensor, " files"]

    def worst_first(self) -> Int64[Tensor, " files"]:
        """Return the files by descending probability, and ties by ascending score."""
        return torch.from_numpy(np.lexsort((self.score.numpy(), -self.probability.numpy())).copy())


def score_files(
    groups: Groups, pipeline: ViewPipeline, score: Score, extract: Extract, draws: int = DRAWS, bar: bool = True
) -> FileVerdicts:
    """Score every file of the groups in at least `draws` views, each among views of other files of its group.

    A first pass estimates the densities of scores on these groups, since scores are distributed differently on the
    groups that the score was trained on.

    Args:
        groups: at least three groups.
        pipeline: makes the views.
        score: a score with a null distribution, such as an arbiter's; it is not trained here.
        extract: computes the features that are scored.
        draws: number of passes over all files.
        bar: show a progress bar.

    Returns:
        The verdicts on all of `groups.files`; NaN for files in none of the groups.
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
    shown = track(passes, "scoring files", total, transient=True, disable=not bar, console=PROGRESS)
    for number, (draw, chunks) in enumerate(shown):
        strength.train(draw == 0)
        views = pipeline(Groups(groups.files, chunks), [(number, place) for place in range(len(chunks))])
        verdict = arbiter(extract(views))
        if draw:
            assert verdict.outlier_probability is not None
            terms = (verdict.outlier_probability, verdict.scores, torch.ones_like(verdict.scores))
            sums.index_add_(1, views.parameters.image.flatten(), torch.stack(terms).flatten(1).double().cpu())
    probability, score_of_file = sums[:2] / sums[2]
    return FileVerdicts(probability, score_of_file)


def score_files_by_halves(
    groups: Groups,
    pipeline: ViewPipeline,
    train: Callable[[Groups], Score],
    extract: Extract,
    draws: int = DRAWS,
    bar: bool = True,
) -> FileVerdicts:
    """Score files like `score_files`, each half of the groups with a score that `train` fits to the other half.

    A misfiled file is in its folder in every draw, so a score trained on that folder would learn that it belongs there.
    """
    halves = [select_groups(groups, half) for half in split_in_halves(groups, pipeline.seed)]
    first, second = (
        score_files(half, pipeline, train(other), extract, draws, bar)
        for half, other in zip(halves, reversed(halves), strict=True)
    )
    unseen = first.probability.isnan()
    return FileVerdicts(
        torch.where(unseen, second.probability, first.probability), torch.where(unseen, second.score, first.score)
    )


def split_in_halves(groups: Groups, seed: int) -> tuple[list[int], list[int]]:
    """Split the groups in two random halves, and return the indices of each."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    return order[::2], order[1::2]


def select_groups(groups: Groups, places: Sequence[int]) -> Groups:
    """Return some of the groups, with all files."""
    return Groups(groups.files, [groups.members[place] for place in places])


def require_groups(groups: Groups, least: int) -> None:
    """Require enough groups to estimate the distribution of scores.

    Raises:
        UotaError: there are fewer than `least` groups.
    """
    if len(groups) < least:
        raise UotaError(
            f"{groups.name} has {len(groups)} groups, too few to find misfiled files; give at least {least}"
        )


def iter_batches(members: Sequence[Chunk], views: int, random: np.random.Generator) -> Iterator[list[Chunk]]:
    """Yield batches of chunks, each of up to `views` images of one group, that cover every image.

    A batch has at most one chunk of a group, since another would serve as a negative of the same thing. When few groups
    have chunks left, the batch is filled with first chunks of other groups, so that there are always negatives.
    """
    chunks = [_chunks(random.permutation(group), views) for group in members]
    for turn in range(max(map(len, chunks))):
        order = random.permutation(len(chunks)).tolist()
        active = [chunks[group][turn] for group in order if turn < len(chunks[group])]
        repeated = [chunks[group][0] for group in order if turn >= len(chunks[group])]
        active += repeated[: max(0, BATCH - len(active))]
        for batch in np.array_split(np.arange(len(active)), ceil(len(active) / BATCH)):
            yield [active[place] for place in batch]


def write_verdicts(verdicts: FileVerdicts, groups: Groups, fits: Int64[Tensor, " files"], out: Path) -> None:
    """Write file, group, outlier probability and most similar other group as CSV, worst first.

    Text that a spreadsheet would run as a formula is escaped with an apostrophe.

    Args:
        verdicts: verdicts on all files.
        groups: groups of a folder's files; unreadable files are left out.
        fits: index of each file's most similar other group.
        out: file to write.

    Raises:
        UotaError: the file cannot be written.
    """
    files = groups.files
    group_of = {index: place for place, members in enumerate(groups.members) for index in members}
    unreadable = groups.unreadable(torch.arange(len(files)))
    rows: list[tuple[Any, ...]] = [("file", "group", "outlier_probability", "fits_better")]
    for index in verdicts.worst_first().tolist():
        if not unreadable[index]:
            group, other = (groups.display_name(place) for place in (group_of[index], int(fits[index])))
            file = files.path(index) or files.display_name(index)
            rows.append((file, group, f"{float(verdicts.probability[index]):.4f}", other))
    write_text_atomically(out, csv_text(rows))


def _chunks(images: np.ndarray, views: int) -> list[Chunk]:
    """Cut the images into chunks of `views`; the last one is filled up with images of the first."""
    size = min(views, len(images))
    return [np.take(images, range(start, start + size), mode="wrap").tolist() for start in range(0, len(images), size)]
