"""The tables of what arbitration is worth as a page: python -m benchmarks.worth.page  (writes docs/worth-figures.md)"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.command_line import make_parser, start
from benchmarks.worth.table import Shown, every_table

OUT = Path(__file__).parents[2] / "docs/worth-figures.md"
INTRO = """# Every figure of what arbitration is worth

Written by `python -m benchmarks.worth.page` from `benchmarks/results/worth.jsonl` and `groups.jsonl`, a line per run.
What they mean: [worth.md](worth.md). `make worth` makes what is missing of the first (eight hours for everything on two
cores), `python -m benchmarks.groups` of the second (an hour).

A run is 4 epochs of 8,000 images, a long one 12, one of drawings 10. Gains are in points over the same method without
weights, paired by seed: mean, 95 % interval (Student's t), p of the paired t-test. Share: of the oracle's gain in
linear top-1, where that is a point or more. AUROC: of telling wrong from right views, after a tenth of training and
at the end. Rate: estimated of true. ms: of one core for an image, of runs on a busy machine, so not to be compared
between lines. Arms: paper is `--arbiter mahalanobis`, paper-released the same with the centre of the two large views,
paper-τ with τ times the dimension as temperature from the start, learned-features `--look features`, auxiliary the
head's contrastive loss through the encoder without weights, shuffled the weights of learned-features given to other
views of the same size, sampled `--candidates 2 --arbiter none`, sampled-and-weighed `--candidates 2`. Of groups: AP
is the average precision of the arbiter's list of misfiled files (of `two_groups` on embeddings where no learned arbiter
ran), beside the better of two label qualities of cleanlab's and of two distances to the folder's centre, on the run's
features or on pixels; estimated is the list's mean probability.
"""


def markdown(table: Shown) -> str:
    """Format a table under its title."""
    shown = [list(table.columns), ["---"] * len(table.columns), *table.lines]
    return f"## {table.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in shown)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = make_parser("worth.page", __doc__, measures=False)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    asked.out.write_text("\n".join([INTRO, *(markdown(table) + "\n" for table in every_table())]))


if __name__ == "__main__":
    start(main)
