"""Misfiled files: the outlier probability of each file among the files of its group, and the list of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.data import Groups
from uota.io.atomic import write_text_atomically
from uota.io.csv_files import csv_text
from uota.membership.result import worst_first

# Fewest groups in which misfiled files are looked for without being asked; in fewer, the
# verdict on a file rests on a comparison with at most four other groups.
GROUPS_UNASKED = 6


@dataclass(frozen=True)
class FileVerdicts:
    """Verdicts on files; NaN for a file in none of the groups, and for one that cannot be read.

    Attributes:
        probability: probability that the file shows something else than its group.
        score: how well it fits its group; higher is better.
    """

    probability: Float[Tensor, " files"]
    score: Float[Tensor, " files"]

    def worst_first(self) -> Int64[Tensor, " files"]:
        """Return the files by descending probability, and ties by ascending score."""
        return worst_first(self.probability, self.score)


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
