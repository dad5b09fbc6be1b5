"""Which files lie in the wrong folder: the outlier probability of every file of every group."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from math import ceil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from rich.progress import track
from torch import Tensor

from uota.arbitration import Arbiter
from uota.data import Groups
from uota.data.folder import Folder
from uota.errors import UotaError
from uota.runs import write_atomically
from uota.views import ViewPipeline, Views

DRAWS = 8
BATCH = 128
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
    groups: Groups, pipeline: ViewPipeline, arbiter: Arbiter, see: Look, draws: int = DRAWS, bar: bool = True
) -> Judged:
    """Show every file in at least `draws` views, among others of its group, and ask the arbiter.

    Args:
        groups: of at least three.
        pipeline: makes the views.
        arbiter: one that estimates probabilities; it does not learn here.
        see: what the arbiter looks at.
        draws: passes over all files.
        bar: show a progress bar.

    Raises:
        UotaError: there are fewer than three groups, so that nothing can be told of what is normal.
    """
    if len(groups) < 3:
        raise UotaError(f"{groups.name} has {len(groups)} groups; to tell files of another, at least three are needed")
    random = np.random.default_rng(pipeline.seed)
    deals = [hands for _ in range(draws) for hands in deal(groups.members, pipeline.preset.views, random)]
    sums = torch.zeros(3, sum(len(group) for group in groups.members), dtype=torch.float64)
    arbiter.eval()
    for number, hands in enumerate(track(deals, "every file is looked at", transient=True, disable=not bar)):
        views = pipeline(Groups(groups.files, hands), [(number, place) for place in range(len(hands))])
        verdict = arbiter(see(views))
        assert verdict.outlier_probability is not None
        told = (verdict.outlier_probability, verdict.scores, torch.ones_like(verdict.scores))
        sums.index_add_(1, views.parameters.image.flatten(), torch.stack(told).flatten(1).double().cpu())
    probability, score = sums[:2] / sums[2]
    return Judged(probability, score)


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


def write_files(judged: Judged, groups: Groups, out: Path) -> int:
    """Write file, group and outlier probability, worst first, as CSV; files that cannot be read are left out.

    Returns:
        The number of files that are wrong more likely than not.

    Raises:
        UotaError: the file cannot be written.
    """
    assert isinstance(groups.files, Folder)
    skipped = set(groups.skipped)
    table = StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("file", "group", "outlier_probability"))
    wrong = 0
    for index in judged.worst_first().tolist():
        path, probability = groups.files.path(index), float(judged.probability[index])
        if path not in skipped:
            rows.writerow((path, groups.files.files[index].rpartition("/")[0], f"{probability:.4f}"))
            wrong += probability > 0.5
    write_atomically(out, table.getvalue())
    return wrong


def _hands(images: np.ndarray, views: int) -> list[Hand]:
    """All images, `views` at a time; the last hand is filled up with images of the first."""
    size = min(views, len(images))
    return [np.take(images, range(start, start + size), mode="wrap").tolist() for start in range(0, len(images), size)]
