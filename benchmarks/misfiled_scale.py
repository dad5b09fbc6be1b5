"""Time and memory of uota misfiled: python -m benchmarks.misfiled_scale  (explained in docs/scale.md)

Members with 384 dimensions in groups of 20, of which 5 % exchanged their groups, are listed from a Parquet file by

    uota      `uota misfiled`, the command
    centre    the cosine to the mean of the other members, in NumPy
    cleanlab  cleanlab's label quality, given a softmax over the cosines to all groups' centres
    index     of the groups most similar to a member, the share that the index of uota finds, where it is used

The first three run each in a process of its own on two threads, whose time, processor time and peak of resident memory
are those that the system counts. The processor time of uota is modelled as a sum of a few kinds of work; the costs are
fitted to all sizes but the largest, which is predicted. cleanlab takes a matrix of members times groups: where it is
too large, the line has its size alone. It needs cleanlab (pip install cleanlab), which the package does not.

Runs that have no line yet are made, one after the other.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch.nn.functional import normalize

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.lines import make_missing, read_lines
from benchmarks.scale import fitted
from uota.membership.similar import CELL, EXACT, PROBED, Index, Products

OUT = RESULTS / "misfiled_scale.jsonl"
DIM, SIZE, SHARE = 384, 20, 0.05
# Dimensions in which members differ by more than noise; deviation of members from their groups, a median and the
# standard deviation of its logarithm; noise.
LATENT, SPREAD, UNEVEN, NOISE = 48, 1.2, 0.4, 0.1
WAYS = ("centre", "cleanlab", "index", "uota")
MEMBERS, TINY = (10_000, 30_000, 100_000, 300_000, 1_000_000), (400, 800)
ROWS = 2**14
# Members whose most similar groups are looked for in both ways.
QUERIES = 2**12
# Bytes of the largest matrix that cleanlab is given; it makes copies of it.
LARGEST = 2**30


# A small process that runs a command and prints what it used: a child of this one would begin with the memory of torch.
COUNTING = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


class Run(NamedTuple):
    """The fields that identify a line of results."""

    way: str
    members: int

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.members // SIZE


def make(path: Path, members: int) -> None:
    """Write a Parquet file, batch by batch."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    random = np.random.default_rng(0)
    basis = random.standard_normal((LATENT, DIM), np.float32) / LATENT**0.5
    centres = random.standard_normal((members // SIZE, LATENT), np.float32)
    home = random.permutation(np.repeat(np.arange(len(centres)), SIZE))
    group, moved = home.copy(), random.permutation(members)[: round(SHARE * members)]
    group[moved] = home[np.roll(moved, 1)]
    vector = pyarrow.list_(pyarrow.float32(), DIM)
    kinds = {"file": pyarrow.string(), "group": pyarrow.int64(), "home": pyarrow.int64(), "vector": vector}
    with ParquetWriter(path, pyarrow.schema(kinds)) as file:
        for first in range(0, members, ROWS):
            rows = slice(first, min(first + ROWS, members))
            count = rows.stop - first
            spread = SPREAD * np.exp(UNEVEN * random.standard_normal((count, 1), np.float32))
            x = centres[home[rows]] + spread * random.standard_normal((count, LATENT), np.float32)
            x = x @ basis + NOISE * random.standard_normal((count, DIM), np.float32)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            names = [f"{place:08d}.jpg" for place in range(first, rows.stop)]
            lists = pyarrow.FixedSizeListArray.from_arrays(x.ravel(), DIM)
            file.write_table(pyarrow.table([names, group[rows], home[rows], lists], schema=file.schema))


def recall(groups: int, directions: int) -> list[float]:
    """Return which shares of the most similar and the next most similar groups of some members the index finds.

    Args:
        groups: number of groups.
        directions: dimensions in which centres differ; with all, nothing but an exact search finds the next best.
    """
    random = torch.Generator().manual_seed(0)
    centres, home = torch.randn(groups, directions, generator=random), torch.arange(min(groups, QUERIES))
    members = centres[home] + SPREAD * torch.randn(len(home), directions, generator=random)
    basis = torch.randn(directions, DIM, generator=random) if directions < DIM else torch.eye(DIM)
    centres, members = (normalize(each @ basis, dim=-1) for each in (centres, members))
    nobody = torch.full_like(home, groups - 1)
    (_, found), (_, best) = (
        search.two_best(members, nobody) for search in (Index(centres, refined=True), Products(centres))
    )
    return [round(float(each), 4) for each in (found == best).double().mean(0)]


def command_of(way: str, path: Path, out: Path) -> list[str]:
    """Return the command that writes a table, or the scores of another method as .npy."""
    if way == "uota":
        columns = ("--group", "group", "--embedding", "vector", "--id", "file")
        outputs = ("--table", str(out / "found.parquet"), "--out", str(out / "found.html"))
        return [sys.executable, "-m", "uota", "misfiled", str(path), *columns, *outputs]
    code = "import sys; from benchmarks.misfiled_others import write; write(*sys.argv[1:])"
    return [sys.executable, "-c", code, way, str(path), str(out / "found.npy")]


def measure(run: Run) -> dict[str, Any]:
    """Make a run and return its line of results."""
    line = run._asdict() | {"groups": run.groups}
    if run.way == "index":
        return line | {"few_directions": recall(run.groups, LATENT), "all_directions": recall(run.groups, DIM)}
    matrix = 4 * run.members * run.groups
    if run.way == "cleanlab" and matrix > LARGEST:
        return line | {"matrix_gb": round(matrix / 1e9, 2)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "members.parquet"
        make(path, run.members)
        return line | used(command_of(run.way, path, Path(folder))) | quality(run, path, Path(folder))


def used(command: list[str]) -> dict[str, Any]:
    """Run a command, and return the time and the memory that it took, and how busy the machine was."""
    # Threads that wait do not spin, so that processor time is that of work, also on a busy machine.
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    before = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, *command], env=environment, stdout=subprocess.PIPE, check=True
    )
    processor, kilobytes = json.loads(done.stdout)
    return {
        "seconds": round(time.perf_counter() - before, 1),
        "processor_seconds": round(processor, 1),
        "peak_gb": round(kilobytes * 1024 / 1e9, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def quality(run: Run, path: Path, out: Path) -> dict[str, float]:
    """Return the average precision, and of uota the share of those found whose group is right."""
    from pyarrow.parquet import read_table

    truth = read_table(path, columns=["group", "home"])
    group, home = (truth.column(name).to_numpy() for name in ("group", "home"))
    wrong = group != home
    if run.way != "uota":
        return {"ap": round(float(average_precision_score(wrong, -np.load(out / "found.npy"))), 4)}
    found = read_table(out / "found.parquet")
    rows = np.array([int(name[:8]) for name in found.column("id").to_pylist()])
    probability = found.column("probability").to_numpy()
    fits = np.array([int(name) for name in found.column("fits_better").to_pylist()])
    called = wrong[rows] & (probability > 0.5)
    return {
        "ap": round(float(average_precision_score(wrong[rows], probability)), 4),
        "right_group": round(float((fits == home[rows])[called].mean()), 4),
    }


def work(run: Run) -> list[float]:
    """Count calls, members, comparisons with all centres, indices made, and comparisons with codes."""
    queries, groups = run.members + run.groups, run.groups
    exact = groups <= EXACT
    codes = queries * min(groups, CELL * PROBED)
    return [1, run.members, exact * queries * groups, not exact, (not exact) * codes]


def predict(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fit the costs of a unit of each kind of work to all sizes but the largest, and predict it."""
    runs = sorted((Run(line["way"], line["members"]), line["processor_seconds"]) for line in lines)
    *fit, (largest, measured) = runs
    costs = fitted([work(run) for run, _ in fit], [found for _, found in fit])
    predicted = float(costs @ work(largest))
    return {"members": largest.members, "costs": costs.tolist(), "predicted": round(predicted, 1), "measured": measured}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print what the model predicts."""
    parser = make_parser("misfiled_scale", __doc__)
    asked = parse(parser, arguments, OUT)
    for needed in ("pyarrow", "faiss", "cleanlab"):
        if find_spec(needed) is None:
            parser.error(f"{needed} is not installed; pip install 'uota[parquet,index]' cleanlab")
    runs = [Run(way, members) for members in (TINY if asked.tiny else MEMBERS) for way in WAYS]
    runs = [run for run in runs if run.way != "index" or run.groups > EXACT]
    make_missing(asked.out, runs, measure, processes=1)
    print(json.dumps(predict([line for line in read_lines(asked.out) if line["way"] == "uota"])))


if __name__ == "__main__":
    start(main)
