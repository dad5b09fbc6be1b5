"""How well each arbiter tells outliers, and estimates their rate: python -m benchmarks.telling_outliers CONDITION.

CONDITION: injected-10, injected-25 (views of other images of Fashion-MNIST) or scenes (crops that show the wrong
object, by a rule of thumb). All arbiters watch the same run and weigh nothing in it, so that their figures can be
compared: once beside SwAV as it trains, once through an encoder that nobody trains. One row an eighth of the way, means
over its steps, to benchmarks/results/telling_outliers-CONDITION.json.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from sklearn.metrics import roc_auc_score

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
EPOCHS, PARTS = 8, 8


class ViewFeatures(NamedTuple):
    """What an arbiter said of a step's views."""

    auroc: float
    rate: float | None
    true_rate: float


def watchers(dim: int) -> dict[str, tuple[str, Arbiter]]:
    """What each arbiter looks at, and the arbiter."""
    return {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned on thumbnails": ("thumbnails", Arbiter("learned")),
        "learned on features": ("features", Arbiter("learned")),
    }


class Watching:
    """Lets every arbiter judge each step's views, and weighs nothing.

    Args:
        dim: of the embeddings.
    """

    def __init__(self, dim: int) -> None:
        self.watchers = watchers(dim)
        self.seen: dict[str, list[ViewFeatures]] = {name: [] for name in self.watchers}

    def __call__(self, embedded: Embedded, views: Views, progress: float) -> Arbitration:
        truth = views.wrong.flatten()
        for name, (at, arbiter) in self.watchers.items():
            verdict = arbiter(arbiter_input(at, embedded))
            auroc = roc_auc_score(truth, -verdict.scores.flatten())
            self.seen[name].append(ViewFeatures(auroc, verdict.outlier_rate, float(truth.float().mean())))
        return uniform(embedded, views, progress)


def watch(settings: Pretrain, source: Source, train: bool) -> list[dict]:
    """A row per part of the run and arbiter; nobody trains an encoder whose learning rate is zero."""
    settings = resolve_auto(settings if train else replace(settings, learning_rate=0.0), source)
    training = Training(settings, Arm(lambda dim, seed: Watching(dim)), source, preset_of(settings))
    rows = []
    for _ in training.parts(training.total):
        part, begun = (steps * PARTS // training.total for steps in (training.step, training.step - 1))
        if part > begun:
            rows += [row(name, seen, part, train) for name, seen in training.judge.seen.items()]
            training.judge.seen = {name: [] for name in training.judge.seen}
    return rows


def row(name: str, seen: list[ViewFeatures], part: int, train: bool) -> dict:
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


def main(condition: str) -> None:
    torch.set_num_threads(1)
    settings = Pretrain(arbiter="none", epochs=EPOCHS, **CONDITIONS[condition])
    source = open_source(settings.data)
    rows = watch(settings, source, train=True) + watch(replace(settings, epochs=2), source, train=False)
    out = Path(__file__).parent / f"results/telling_outliers-{condition}.json"
    out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
