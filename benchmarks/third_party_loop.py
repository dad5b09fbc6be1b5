"""Chosen views in loops that know nothing of it: python -m benchmarks.third_party_loop  (an hour on 2 cores).

lightly's SwAV and DINO (examples/), modules and losses untouched, with all views encoded and with those that a
`ViewSampler` keeps of twice as many; 25 % of the views replaced by strangers, and the demo scenes; three seeds. A line
each run, as it ends, to benchmarks/results/third_party_loop.jsonl; runs that are there already are not made again.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import cos, pi
from pathlib import Path
from time import process_time
from typing import NamedTuple

import torch
from lightly.loss import SwaVLoss
from torch import Tensor, nn

from benchmarks.accuracy import accuracy
from benchmarks.lines import make_missing
from examples.lightly_dino import DINO
from examples.lightly_swav import SwaV
from uota.config import Pretrain
from uota.data import open_source
from uota.nn.encoder import Encoder
from uota.training.batches import GlobalBatches
from uota.training.build import build_sampler, decide, preset_of
from uota.training.schedules import learning_rate
from uota.views import ViewPipeline

OUT = Path(__file__).parent / "results/third_party_loop.jsonl"
CONDITIONS = {"scenes": {"data": "demo-scenes"}, "injected-25": {"data": "demo", "inject": 0.25}}
EPOCHS = 4


class Run(NamedTuple):
    """What identifies a line of results; `candidates` for every view that is encoded."""

    condition: str
    model: str
    candidates: int
    seed: int


def plan() -> Iterator[Run]:
    """Seed by seed."""
    for seed, condition, model, candidates in product((0, 1, 2), CONDITIONS, MODELS, (1, 2)):
        yield Run(condition, model, candidates, seed)


def swav(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """lightly's SwAV in the size of the demo; its loss, given views and the share of training that is done."""
    model = SwaV(encoder, encoder.width, 256, 64, 100)
    # With lightly's default of 0.05 it learns nothing of the scenes in so short a time (linear / kNN 32.4 / 30.6).
    model.criterion = SwaVLoss(sinkhorn_epsilon=0.02)
    return model, lambda views, done: model.loss(views)


def dino(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """lightly's DINO likewise; the teacher's momentum rises to 1 along a cosine."""
    model = DINO(encoder, encoder.width, 256, 64, 512)
    return model, lambda views, done: model.loss(views, 1 - 0.01 * (cos(pi * done) + 1) / 2, epoch=0)


MODELS = {"lightly's swav": swav, "lightly's dino": dino}


def measure(run: Run) -> dict:
    """Train and evaluate."""
    condition, name, candidates, seed = run
    settings = Pretrain(epochs=EPOCHS, seed=seed, arbiter="none", candidates=candidates, **CONDITIONS[condition])
    train, test = (open_source(settings.data, split) for split in ("train", "test"))
    settings = decide(settings, train)
    torch.manual_seed(seed)
    encoder = Encoder("tiny", train.channels).to(memory_format=torch.channels_last)
    began = process_time()
    images = pretrain(*MODELS[name](encoder), settings, train)
    milliseconds = round(1000 * (process_time() - began) / images, 3)
    found = accuracy(encoder, train, test, preset_of(settings))
    return run._asdict() | found | {"milliseconds_an_image": milliseconds}


def pretrain(model: nn.Module, loss_of: Callable[[list[Tensor], float], Tensor], settings: Pretrain, source) -> int:
    """The loop that belongs to anybody; how many images it took."""
    preset = preset_of(settings)
    pipeline = ViewPipeline(preset.with_candidates(settings.candidates), settings.seed, settings.inject)
    sampler = build_sampler(settings)
    step = 0
    batches = GlobalBatches(len(source), settings.batch_size, settings.seed, 0, 1, lambda: step)
    total = len(batches) * settings.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    while step < total:
        for samples in batches:
            groups = pipeline(source, samples).groups
            if sampler:
                groups = sampler(groups).groups
            views = [view.contiguous(memory_format=torch.channels_last) for group in groups for view in group]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, total, settings)
            loss = loss_of(views, step / total)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return total * settings.batch_size


if __name__ == "__main__":
    make_missing(OUT, plan(), measure)
