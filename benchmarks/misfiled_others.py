"""What `benchmarks.misfiled_scale` compares with; imports no torch, which takes half a gigabyte of memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy import ndarray

# Members that are read, and whose cosines are computed, at once.
ROWS = 2**14
TEMPERATURE = 0.1


class Cosines(NamedTuple):
    """Members and what their groups' centres are made of.

    Attributes:
        group: of each member.
        z: unit vectors.
        sums: of the vectors of each group.
        own: cosine of each member to the mean of the others of its group.
    """

    group: ndarray
    z: ndarray
    sums: ndarray
    own: ndarray


def write(way: str, path: str, out: str) -> None:
    """Score the members of a Parquet file, and write how well they fit their groups as .npy."""
    members = cosines(Path(path))
    np.save(out, members.own if way == "centre" else label_quality(members))


def cosines(path: Path) -> Cosines:
    """Compute the cosine of each member of a Parquet file to the mean of the other members of its group."""
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(path)
    members = file.metadata.num_rows
    dim = file.schema_arrow.field("vector").type.list_size
    group, z, first = np.empty(members, np.int64), np.empty((members, dim), np.float32), 0
    for batch in file.iter_batches(ROWS, columns=["group", "vector"]):
        rows = slice(first, first + batch.num_rows)
        group[rows] = batch.column("group").to_numpy()
        z[rows] = batch.column("vector").flatten().to_numpy().reshape(-1, dim)
        first = rows.stop
    sums = np.zeros((group.max() + 1, dim), np.float32)
    for rows in _blocks(members):
        np.add.at(sums, group[rows], z[rows])
    own = np.empty(members, np.float32)
    for rows in _blocks(members):
        others = sums[group[rows]] - z[rows]
        own[rows] = (z[rows] * others).sum(1) / np.linalg.norm(others, axis=1)
    return Cosines(group, z, sums, own)


def label_quality(members: Cosines) -> ndarray:
    """Return cleanlab's label quality of a softmax over the cosines to all centres; no member counts in its own."""
    from cleanlab.rank import get_label_quality_scores

    group, z, sums, own = members
    probabilities = z @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T
    probabilities[np.arange(len(z)), group] = own
    probabilities -= probabilities.max(1, keepdims=True)
    np.exp(probabilities / TEMPERATURE, out=probabilities)
    probabilities /= probabilities.sum(1, keepdims=True)
    quality: ndarray = get_label_quality_scores(group, probabilities)
    return quality


def _blocks(members: int) -> Iterator[slice]:
    return (slice(first, min(first + ROWS, members)) for first in range(0, members, ROWS))
