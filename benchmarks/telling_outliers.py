"""How well each arbiter tells outliers, and estimates their rate: python benchmarks/telling_outliers.py CONDITION.

CONDITION: injected-10, injected-25 (views of other images of Fashion-MNIST) or scenes (crops that show the wrong
object, by a rule of thumb). All arbiters watch the same run and weigh nothing in it, so that their figures can be
compared: once beside SwAV as it trains, once through an encoder that nobody trains. One row an eighth of the way, means
over its steps, to benchmarks/results/telling_outliers-CONDITION.json.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from sklearn.metrics import roc_auc_score

from uota import Arbiter
from uota.config import Pretrain
from uota.data import open_source
from uota.methods.embedded import Embedded, Step
from uota.training.batches import GlobalBatches
from uota.training.build import TAU_PER_DIMENSION, build_module, decide, preset_of
from uota.training.looks import look
from uota.training.schedules import learning_rate
from uota.views import ViewPipeline, Views

CONDITIONS = {
    "injected-10": {"data": "demo", "inject": 0.1},
    "injected-25": {"data": "demo", "inject": 0.25},
    "scenes": {"data": "demo-scenes"},
}
EPOCHS, PARTS = 8, 8


def watchers(dim: int) -> dict[str, tuple[str, Arbiter]]:
    """What each arbiter looks at, and the arbiter."""
    return {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=TAU_PER_DIMENSION * dim)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned on thumbnails": ("thumbnails", Arbiter("learned")),
        "learned on features": ("features", Arbiter("learned")),
    }


def steps(settings: Pretrain, train: bool) -> Iterator[tuple[float, Views, Embedded]]:
    """SwAV's steps: the share of the run that each completes, its views, and what the encoder makes of them."""
    source = open_source(settings.data)
    settings = decide(settings, source)
    pipeline = ViewPipeline(preset_of(settings), settings.seed, settings.inject)
    step = 0
    batches = GlobalBatches(len(source), settings.batch_size, settings.seed, 0, 1, lambda: step)
    total = len(batches) * settings.epochs
    module = build_module(settings, total)
    optimizer = module.configure_optimizers()
    while step < total:
        views = pipeline(source, next(iter(batches)))
        with torch.set_grad_enabled(train):
            embedded = module.method.embed(views.groups, Step())
        yield (step + 1) / total, views, embedded
        if train:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, total, settings)
            uniform = torch.ones(embedded.z.shape[:2])
            optimizer.zero_grad()
            module.method.loss(embedded, uniform, Step(step, step / total)).backward()
            optimizer.step()
        step += 1


def watch(settings: Pretrain, train: bool) -> list[dict]:
    """A row per arbiter and part of the run."""
    rows, arbiters, seen, part = [], {}, {}, 0
    for done, views, embedded in steps(settings, train):
        arbiters = arbiters or watchers(embedded.z.shape[-1])
        truth = views.wrong.flatten()
        for name, (at, arbiter) in arbiters.items():
            verdict = arbiter(look(at, embedded))
            auroc = roc_auc_score(truth, -verdict.scores.flatten())
            seen.setdefault(name, []).append((auroc, verdict.outlier_rate, float(truth.float().mean())))
        if int(done * PARTS) > part:
            part = int(done * PARTS)
            rows += [row(name, values, part, train) for name, values in seen.items()]
            seen = {}
    return rows


def row(name: str, seen: list[tuple], part: int, train: bool) -> dict:
    aurocs, rates, true_rates = zip(*seen, strict=True)
    rate = None if rates[0] is None else rates[-1]
    found = {
        "encoder": "training" if train else "untrained",
        "arbiter": name,
        "done": part / PARTS,
        "auroc": mean(aurocs),
        "rate": rate,
        "true_rate": mean(true_rates),
    }
    print(json.dumps(found), flush=True)
    return found


def main(condition: str) -> None:
    torch.set_num_threads(1)
    settings = Pretrain(arbiter="none", epochs=EPOCHS, **CONDITIONS[condition])
    rows = watch(settings, train=True) + watch(replace(settings, epochs=2), train=False)
    out = Path(__file__).parent / f"results/telling_outliers-{condition}.json"
    out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
