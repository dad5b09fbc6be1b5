"""One run of the benchmark: a condition, a method, an arm and a seed, to one line of results."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean
from time import process_time
from typing import Any, NamedTuple

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.accuracy import accuracy
from benchmarks.worth.arms import ARMS, Arm
from benchmarks.worth.conditions import CONDITIONS
from benchmarks.worth.robust import ROBUST
from uota.arbitration import Arbitration
from uota.data import Source
from uota.losses import Side, ViewWeights
from uota.methods import Embedded, Step
from uota.methods.build import build_method
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
# Of the run: when an arbiter should tell already, and over how much of the end it is judged.
EARLY, LATE = (0.08, 0.12), (0.9, 1.0)


class Run(NamedTuple):
    """What identifies a line of results."""

    condition: str
    method: str
    arm: str
    seed: int

    def settings(self) -> Pretrain:
        """As `uota pretrain` would take them: the method's demo recipe, on the condition's images, for as long."""
        condition = CONDITIONS[self.condition]
        own = {"method": self.method, "seed": self.seed, "arbiter": "none"}
        return replace(recipe(f"{self.method}_demo"), **condition.settings | own)


def measure(run: Run) -> dict[str, Any]:
    """Train and evaluate; everything a line of results holds."""
    settings, arm, condition = run.settings(), ARMS[run.arm], CONDITIONS[run.condition]
    train, test = condition.source("train"), condition.source("test")
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
    return run._asdict() | {"epochs": settings.epochs} | result | ({"way": way} if way else {})


class Training:
    """The training step of `uota pretrain`, with a judge in the arbiter's place.

    Args:
        settings: decided, without an arbiter.
        arm: what judges, and what else is changed.
        source: images to train on.
        preset: the views.
    """

    def __init__(self, settings: Pretrain, arm: Arm, source: Source, preset: ViewPreset) -> None:
        self.settings, self.arm, self.source = settings, arm, source
        candidates = preset.with_candidates(arm.candidates)
        self.pipeline = ViewPipeline(candidates, settings.seed, settings.inject, settings.inject_from)
        self.sampler = build_sampler(replace(settings, candidates=arm.candidates))
        self.step = 0
        self.batches = GlobalBatches(len(source), settings.batch_size, settings.seed, 0, 1, lambda: self.step)
        self.total = len(self.batches) * settings.epochs
        self.module = Pretraining(build_method(settings), None, None, settings, self.total)
        self.judge = arm.judge(self.module.method.dim, settings.seed)
        if arm.auxiliary:
            self.module.method.auxiliary = arm.auxiliary(settings.seed)
        self.optimizer: torch.optim.Optimizer | None = None
        self.seen: dict[str, list[tuple[float, float]]] = defaultdict(list)  # AUROC and true rate of steps
        self.rate: float | None = None

    @property
    def images(self) -> int:
        """Images that training takes, one pass after the other."""
        return self.total * self.settings.batch_size

    def parts(self, count: int) -> Iterator[float]:
        """Train, pausing after each of `count` equal parts with the share that is done."""
        ends = {round(self.total * part / count): part / count for part in range(1, count + 1)}
        while self.step < self.total:
            for samples in self.batches:
                self.take_step(samples)
                if self.step in ends:
                    yield ends[self.step]

    def take_step(self, samples: list[tuple[int, int]]) -> None:
        """One step of the method, weighed by the judge."""
        step = Step(self.step, self.step / self.total)
        torch.manual_seed(hash((self.settings.seed, self.step)) % 2**63)
        views = self._chosen(self.pipeline(self.source, samples))
        embedded = self.module.method.embed(views.by_size, step)
        verdict = self.judge(embedded, views, step.progress)
        if not self.sampler:
            self._note(verdict, views.wrong)
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
        """Those that the sampler keeps; how well it told the candidates is what is noted, if there is one."""
        if not self.sampler:
            return views
        sampled = self.sampler(views.by_size)
        self._note(sampled.verdict, views.wrong)
        return views.kept(sampled.chosen, sampled.by_size)

    def _loss(self, embedded: Embedded, verdict: Arbitration, step: Step) -> Tensor:
        method = self.module.method
        if self.arm.robust is not None:
            return ROBUST[self.settings.method](method, embedded, self.arm.robust)
        side: Side = "both" if self.arm.both else "predictor"
        loss = method.loss(embedded, ViewWeights(verdict.weights, side), step)
        return loss + method.auxiliary(embedded) if self.arm.auxiliary else loss

    def _note(self, verdict: Arbitration, wrong: Tensor | None) -> None:
        """Keep how well the judge told at this step."""
        done = (self.step + 1) / self.total
        if verdict.outlier_rate is not None:
            self.rate = verdict.outlier_rate
        for when, (first, last) in {"early": EARLY, "late": LATE}.items():
            # Of none that are wrong there is nothing to tell, and of none that were scored no telling.
            if wrong is not None and bool(wrong.any()) and first <= done <= last and bool(verdict.scores.any()):
                auroc = roc_auc_score(wrong.flatten(), -verdict.scores.flatten())
                self.seen[when].append((auroc, float(wrong.float().mean())))

    def told(self) -> dict[str, float]:
        """AUROC after a tenth and at the end, the rate estimated last, and the true one, as far as there are any."""
        told = {f"auroc_{when}": round(mean(auroc for auroc, _ in seen), 4) for when, seen in self.seen.items()}
        if self.rate is not None:
            told["rate"] = round(self.rate, 4)
        if self.seen["late"]:
            told["true_rate"] = round(mean(true for _, true in self.seen["late"]), 4)
        return told
