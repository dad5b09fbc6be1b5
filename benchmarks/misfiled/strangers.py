"""How well members of no group are found: python -m benchmarks.misfiled.strangers [--seeds 0 1 2]

Some groups are taken away, and up to a hundred of their members are filed at random in other groups, so that they
belong nowhere. A line of benchmarks/results/misfiled_strangers.jsonl has the average precision of the list, the mean
probability of these members not to belong, the estimated share, and how many of them a training that re-files would
move to a group.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from sklearn.metrics import average_precision_score

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.lines import make_missing, read_lines
from benchmarks.misfiled.features import featured
from uota.membership.members import score_members
from uota.membership.verdicts import LIKELY

OUT = RESULTS / "misfiled_strangers.jsonl"
DATA, STRANGERS = ("drawings", "garments", "stamps"), 100


class Run(NamedTuple):
    """The fields that identify a line of results."""

    data: str
    seed: int


def measure(run: Run) -> dict[str, Any]:
    """File strangers, and return the line of results."""
    features, group = featured(run.data)
    random = torch.Generator().manual_seed(run.seed)
    order = torch.randperm(int(group.max()) + 1, generator=random)
    homeless = order[: STRANGERS // 4]
    taken = torch.nonzero(torch.isin(group, homeless))[:, 0]
    strangers = taken[torch.randperm(len(taken), generator=random)[:STRANGERS]]
    filed = group.clone()
    filed[strangers] = order[len(homeless) :][
        torch.randint(len(order) - len(homeless), strangers.shape, generator=random)
    ]
    kept = ~torch.isin(filed, homeless)
    wrong = torch.zeros_like(kept).index_fill(0, strangers, True)[kept]
    found = score_members({name: each[kept] for name, each in features.items()}, filed[kept], run.seed)
    place = torch.tensor(found.worst_first()).argsort()
    return run._asdict() | {
        "members": len(wrong),
        "wrong": round(float(wrong.double().mean()), 4),
        "ap": round(float(average_precision_score(wrong, -place)), 4),
        "probability": round(float(found.probability[wrong].double().mean()), 4),
        "estimated": round(found.share, 4),
        "moved": int((wrong & (found.probability * found.fits_probability > LIKELY)).sum()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what has no line yet, and print the lines."""
    parser = make_parser("misfiled.strangers", __doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parse(parser, arguments, OUT)
    runs = [Run(*each) for each in product(DATA, asked.seeds)]
    make_missing(asked.out, runs[:1] if asked.tiny else runs, measure, processes=1)
    print(*read_lines(asked.out), sep="\n")


if __name__ == "__main__":
    start(main)
