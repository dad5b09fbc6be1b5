"""One run of the benchmark: a condition, a method, an arm and a seed give one line of results."""

from collections import defaultdict
from collections.abc import Iterator
from statistics import mean
from time import process_time
from typing import Any, NamedTuple

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.accuracy import accuracy
from benchmarks.images import first_images
from benchmarks.worth.arms import ARMS, Arm
from benchmarks.worth.conditions import CONDITIONS
from benchmarks.worth.robust import ROBUST
from uota.arbitration import Arbitration
from uota.data import Source
from uota.losses import Side, ViewWeights
from uota.methods import Embedded, Step
from uota.methods.build import build_method
from uota.numerics import seed_of
from uota.recipes import recipe
from uota.settings.pretrain import Pretrain
from uota.training.batches import GlobalBatches
from uota.training.module import Pretraining
from uota.training.resolve import resolve_auto
from uota.training.schedules import learning_rate
from uota.training.setup import build_sampler
from uota.views import ViewPipeline, ViewPreset, Views
from uota.views.presets import preset_of

PARTS = 8
# Shares of the run over which an arbiter is evaluated: early, and at the end.
EARLY, LATE = (0.08, 0.12), (0.9, 1.0)
TINY_IMAGES, TINY_BATCH = 64, 16


class Run(NamedTuple):
    """The fields that identify a line of results."""

    condition: str
    method: str
    arm: str
    seed: int

    def settings(self) -> Pretrain:
        """Return settings of `uota pretrain`: the method's demo recipe with the images and length of the condition."""
        condition = CONDITIONS[self.condition]
        own = {"method": self.method, "seed": self.seed, "arbiter": "none"}
        return recipe(f"{self.method}_demo").replace_flat(**condition.settings | own)


def measure(run: Run, tiny: bool = False) -> dict[str, Any]:
    """Train and evaluate, and return the line of results; the smallest form takes four steps."""
    settings, arm, condition = run.settings(), ARMS[run.arm], CONDITIONS[run.condition]
    train, test = condition.source("train"), condition.source("test")
    if tiny:
        train, test = (first_images(source, TINY_IMAGES) for source in (train, test))
        settings = settings.replace_flat(epochs=1, batch_size=TINY_BATCH)
    settings = resolve_auto(settings, train)
    preset = arm.preset(preset_of(settings))
    training = Training(settings, arm, train, preset)
    began, evaluating, way = process_time(), 0.0, []
    for part in training.parts(PARTS if condition.along_the_way else 1):
        paused = process_time()
        way.append({"done": part} | accuracy(training.module.method.encoder, train, test, preset))
        training.module.train()
        evaluating += process_time() - paused
    spent = process_time() - began - evaluating
    final = way.pop()
    result = {name: final[name] for name in ("linear", "knn")} | training.told()
    result |= {"milliseconds_an_image": round(1000 * spent / training.images, 3)}
    return run._asdict() | {"epochs": settings.optimization.epochs} | result | ({"way": way} if way else {})


class Training:
    """The training loop of `uota pretrain`, with a judge in place of the arbiter.

    Args:
        settings: resolved settings, without an arbiter.
        arm: where the weights come from, and what else is changed.
        source: images to train on.
        preset: preset of the views.
    """

    def __init__(self, settings: Pretrain, arm: Arm, source: Source, preset: ViewPreset) -> None:
        self.settings, self.arm, self.source = settings, arm, source
        candidates = preset.with_candidates(arm.candidates)
        self.pipeline = ViewPipeline(
            candidates, settings.runtime.seed, settings.views.inject, settings.views.inject_from
        )
        self.sampler = build_sampler(settings.replace_flat(candidates=arm.candidates))
        self.step = 0
        self.batches = GlobalBatches(
            len(source), settings.optimization.batch_size, settings.runtime.seed, 0, 1, lambda: self.step
        )
        self.total = settings.optimization.total_steps(len(self.batches))
        self.module = Pretraining(build_method(settings), None, None, settings, self.total)
        self.judge = arm.judge(self.module.method.dim, settings.runtime.seed)
        if arm.auxiliary:
            self.module.method.auxiliary = arm.auxiliary(settings.runtime.seed)
        self.optimizer: torch.optim.Optimizer | None = None
        self.seen: dict[str, list[tuple[float, float]]] = defaultdict(list)  # AUROC and true rate of steps
        self.rate: float | None = None

    @property
    def images(self) -> int:
        """Images that the training takes, counted in every pass."""
        return self.total * self.settings.optimization.batch_size

    def parts(self, count: int) -> Iterator[float]:
        """Train, and yield the finished share after each of `count` equal parts."""
        ends = {round(self.total * part / count): part / count for part in range(1, count + 1)}
        while self.step < self.total:
            for samples in self.batches:
                self.take_step(samples)
                if self.step in ends:
                    yield ends[self.step]

    def take_step(self, samples: list[tuple[int, int]]) -> None:
        """Take a step of the method with the weights of the judge."""
        step = Step(self.step, self.step / self.total)
        torch.manual_seed(seed_of(self.settings.runtime.seed, self.step))
        views = self._chosen(self.pipeline(self.source, samples))
        embedded = self.module.method.embed(views.by_size, step)
        verdict = self.judge(embedded, views, step.progress)
        if not self.sampler:
            self.record(verdict, views.wrong)
        loss = self._loss(embedded, verdict, step)
        if self.optimizer is None:  # an auxiliary head takes its width from its first batch
            self.optimizer = self.module.configure_optimizers()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.total, self.settings)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1

    def _chosen(self, views: Views) -> Views:
        """Return the views that the sampler keeps, and note its scores; all views without a sampler."""
        if not self.sampler:
            return views
        sampled = self.sampler(views.by_size)
        self.record(sampled.verdict, views.wrong)
        return views.select(sampled.chosen, sampled.by_size)

    def _loss(self, embedded: Embedded, verdict: Arbitration, step: Step) -> Tensor:
        method = self.module.method
        if self.arm.robust is not None:
            return ROBUST[self.settings.method.name](method, embedded, self.arm.robust)
        side: Side = "both" if self.arm.both else "predictor"
        loss = method.loss(embedded, ViewWeights(verdict.weights, side), step)
        return loss + method.auxiliary(embedded) if self.arm.auxiliary else loss

    def record(self, verdict: Arbitration, wrong: Tensor | None) -> None:
        """Keep how well the judge detected wrong views in this step."""
        done = (self.step + 1) / self.total
        if verdict.outlier_rate is not None:
            self.rate = float(verdict.outlier_rate)
        for when, (first, last) in {"early": EARLY, "late": LATE}.items():
            # AUROC needs wrong views, and scores that are not all zero.
            if wrong is not None and bool(wrong.any()) and first <= done <= last and bool(verdict.scores.any()):
                auroc = roc_auc_score(wrong.flatten(), -verdict.scores.flatten())
                self.seen[when].append((auroc, float(wrong.float().mean())))

    def told(self) -> dict[str, float]:
        """Return those that exist of: AUROC after a tenth and at the end, the last estimated rate, and the true one."""
        told = {f"auroc_{when}": round(mean(auroc for auroc, _ in seen), 4) for when, seen in self.seen.items()}
        if self.rate is not None:
            told["rate"] = round(self.rate, 4)
        if self.seen["late"]:
            told["true_rate"] = round(mean(true for _, true in self.seen["late"]), 4)
        return told
