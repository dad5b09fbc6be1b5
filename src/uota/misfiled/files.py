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
from uota.data import Groups, found_unreadable
from uota.data.files.folder import Folder
from uota.errors import UotaError
from uota.io.atomic import write_atomically
from uota.io.csv_files import csv_text
from uota.views import ViewPipeline, Views

DRAWS = 8
BATCH = 128
# Groups of which halves can judge each other.
ENOUGH = 6
Look = Callable[[Views], Float[Tensor, "views batch dim"]]
Hand = Sequence[int]


@dataclass(frozen=True)
class Judged:
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


def judge(
    groups: Groups, pipeline: ViewPipeline, score: Score, see: Look, draws: int = DRAWS, bar: bool = True
) -> Judged:
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
    deals = ((draw, hands) for draw in range(draws + 1) for hands in deal(groups.members, views_of_item, random))
    total = (draws + 1) * sum(1 for _ in deal(groups.members, views_of_item, np.random.default_rng(0)))
    sums = torch.zeros(3, len(groups.files), dtype=torch.float64)
    shown = track(deals, "looking at files", total, transient=True, disable=not bar, console=PROGRESS)
    for number, (draw, hands) in enumerate(shown):
        strength.train(draw == 0)
        views = pipeline(Groups(groups.files, hands), [(number, place) for place in range(len(hands))])
        verdict = arbiter(see(views))
        if draw:
            assert verdict.outlier_probability is not None
            told = (verdict.outlier_probability, verdict.scores, torch.ones_like(verdict.scores))
            sums.index_add_(1, views.parameters.image.flatten(), torch.stack(told).flatten(1).double().cpu())
    probability, score_of_file = sums[:2] / sums[2]
    return Judged(probability, score_of_file)


def judge_by_halves(
    groups: Groups,
    pipeline: ViewPipeline,
    learn: Callable[[Groups], Score],
    see: Look,
    draws: int = DRAWS,
    bar: bool = True,
) -> Judged:
    """As `judge`, by a score that learned on the other half of the groups.

    A file is wrong in its folder in every draw; a score that learned there has learned that it belongs there.
    """
    halves = [some_groups(groups, half) for half in halves_of(groups, pipeline.seed)]
    first, second = (
        judge(judged, pipeline, learn(other), see, draws, bar)
        for judged, other in zip(halves, reversed(halves), strict=True)
    )
    unseen = first.probability.isnan()
    return Judged(
        torch.where(unseen, second.probability, first.probability), torch.where(unseen, second.score, first.score)
    )


def halves_of(groups: Groups, seed: int) -> tuple[list[int], list[int]]:
    """Places of the groups of one half, and of the other."""
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    return order[::2], order[1::2]


def some_groups(groups: Groups, places: Sequence[int]) -> Groups:
    """These groups, of all files."""
    return Groups(groups.files, [groups.members[place] for place in places])


def refuse_few(groups: Groups, least: int) -> None:
    """Say that files cannot be told, where there are too few groups to know what is normal.

    Raises:
        UotaError: there are fewer than `least` groups.
    """
    if len(groups) < least:
        raise UotaError(
            f"{groups.name} has {len(groups)} groups; to say which files are wrong, at least {least} are needed"
        )


def deal(members: Sequence[Hand], views: int, random: np.random.Generator) -> Iterator[list[Hand]]:
    """Hands of up to `views` images of one group, so that each image is dealt, in batches.

    No batch has two hands of one group, which would look like strangers that are alike; where few groups have hands
    left, others play again, so that there are always strangers.
    """
    hands = [_hands(random.permutation(group), views) for group in members]
    for turn in range(max(map(len, hands))):
        order = random.permutation(len(hands)).tolist()
        playing = [hands[group][turn] for group in order if turn < len(hands[group])]
        again = [hands[group][0] for group in order if turn >= len(hands[group])]
        playing += again[: max(0, BATCH - len(playing))]
        for batch in np.array_split(np.arange(len(playing)), ceil(len(playing) / BATCH)):
            yield [playing[place] for place in batch]


def write_files(judged: Judged, groups: Groups, fits: Int64[Tensor, " files"], out: Path) -> None:
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
    assert isinstance(groups.files, Folder)
    unreadable = found_unreadable(groups, torch.arange(len(groups.files)))
    rows: list[tuple[Any, ...]] = [("file", "group", "outlier_probability", "fits_better")]
    for index in judged.worst_first().tolist():
        if not unreadable[index]:
            better = groups.members[int(fits[index])][0]
            group, other = (groups.files.files[place].rpartition("/")[0] for place in (index, better))
            rows.append((groups.files.path(index), group, f"{float(judged.probability[index]):.4f}", other))
    write_atomically(out, csv_text(rows))


def _hands(images: np.ndarray, views: int) -> list[Hand]:
    """All images, `views` at a time; the last hand is filled up with images of the first."""
    size = min(views, len(images))
    return [np.take(images, range(start, start + size), mode="wrap").tolist() for start in range(0, len(images), size)]
