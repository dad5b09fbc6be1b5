"""How well each arbiter detects outliers and estimates their rate: python -m benchmarks.telling_outliers CONDITION

CONDITION is injected-10 or injected-25 (views of other images of Fashion-MNIST) or scenes (crops that show the wrong
object, by a rule of thumb). All arbiters see the same run and their weights are not used in it, so that their figures
can be compared: once while SwAV trains, and once with an untrained encoder. Each eighth of a run gives a row per
arbiter, with means over its steps, in benchmarks/results/telling_outliers-CONDITION.json. A condition takes about five
minutes.
"""

import json
from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

import torch
from sklearn.metrics import roc_auc_score

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import first_images
from benchmarks.worth.arms import Arm, uniform
from benchmarks.worth.run import Training
from uota import Arbiter
from uota.arbitration import Arbitration
from uota.data import Source, open_source
from uota.methods.embedded import Embedded
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.resolve import resolve_auto
from uota.training.setup import TAU_PER_DIMENSION
from uota.views import Views
from uota.views.presets import preset_of

CONDITIONS = {
    "injected-10": {"data": "demo", "inject": 0.1},
    "injected-25": {"data": "demo", "inject": 0.25},
    "scenes": {"data": "demo-scenes"},
}
EPOCHS, PARTS, WARMUP_STEPS = 8, 8, 60
TINY_IMAGES, TINY_BATCH = 128, 16


class Seen(NamedTuple):
    """An arbiter's figures for the views of one step."""

    auroc: float
    rate: float | None
    true_rate: float


def watchers(dim: int) -> dict[str, tuple[str, Arbiter]]:
    """Build the arbiters, each with the name of its input."""
    return {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned on thumbnails": ("thumbnails", Arbiter("learned")),
        "learned on features": ("features", Arbiter("learned")),
    }


class Watching:
    """Lets every arbiter score the views of each step, and returns uniform weights.

    Args:
        dim: width of the embeddings.
    """

    def __init__(self, dim: int) -> None:
        self.watchers = watchers(dim)
        self.seen: dict[str, list[Seen]] = {name: [] for name in self.watchers}

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        truth = views.wrong.flatten()
        for name, (at, arbiter) in self.watchers.items():
            verdict = arbiter(arbiter_input(at, embedded))
            auroc = roc_auc_score(truth, -verdict.scores.flatten())
            rate = None if verdict.outlier_rate is None else float(verdict.outlier_rate)
            self.seen[name].append(Seen(auroc, rate, float(truth.float().mean())))
        return uniform(embedded, views, progress)


def watch(settings: Pretrain, source: Source, train: bool) -> list[dict]:
    """Return a row per part of the run and arbiter; without `train` the learning rate is zero."""
    settings = resolve_auto(settings if train else settings.replace_flat(learning_rate=0.0), source)
    training = Training(settings, Arm(lambda dim, seed: Watching(dim)), source, preset_of(settings))
    rows = []
    for _ in training.parts(training.total):
        part, begun = (steps * PARTS // training.total for steps in (training.step, training.step - 1))
        if part > begun:
            rows += [row(name, seen, part, train) for name, seen in training.judge.seen.items()]
            training.judge.seen = {name: [] for name in training.judge.seen}
    return rows


def row(name: str, seen: list[Seen], part: int, train: bool) -> dict:
    """Average an arbiter's figures over the steps of a part."""
    found = {
        "encoder": "training" if train else "untrained",
        "arbiter": name,
        "done": part / PARTS,
        "auroc": mean(step.auroc for step in seen),
        "rate": None if seen[0].rate is None else seen[-1].rate,
        "true_rate": mean(step.true_rate for step in seen),
    }
    print(json.dumps(found), flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write a condition."""
    parser = make_parser("telling_outliers", __doc__)
    parser.add_argument("condition", choices=CONDITIONS, metavar="CONDITION", help=", ".join(CONDITIONS))
    asked = parser.parse_args(arguments)
    asked = parse(parser, arguments, RESULTS / f"telling_outliers-{asked.condition}.json")
    torch.set_num_threads(1)
    settings = Pretrain.from_flat(
        arbiter="none", epochs=EPOCHS, warmup_steps=WARMUP_STEPS, **CONDITIONS[asked.condition]
    )
    source = open_source(settings.data.source)
    if asked.tiny:
        source, settings = first_images(source, TINY_IMAGES), settings.replace_flat(epochs=1, batch_size=TINY_BATCH)
    fewer = settings.replace_flat(epochs=1 if asked.tiny else 2)
    rows = watch(settings, source, train=True) + watch(fewer, source, train=False)
    asked.out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    start(main)
