"""A `ViewSampler` in third-party training loops: python -m benchmarks.third_party_loop  (an hour on 2 cores)

lightly's SwAV and DINO (examples/), with unchanged modules and losses, are trained on all views and on those that a
`ViewSampler` keeps of twice as many. The data are the demo scenes, and garments of which 25 % of the views are replaced
by views of other images; three seeds. Each run appends a line to benchmarks/results/third_party_loop.jsonl when it
ends; runs that have a line are not repeated.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import cos, pi
from time import process_time
from typing import NamedTuple

import torch
from lightly.loss import SwaVLoss
from torch import Tensor, nn

from benchmarks.accuracy import accuracy
from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import first_images
from benchmarks.lines import make_missing
from examples.lightly_dino import DINO
from examples.lightly_swav import SwaV
from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.settings.pretrain import Pretrain
from uota.training.batches import GlobalBatches
from uota.training.resolve import resolve_auto
from uota.training.schedules import learning_rate
from uota.training.setup import build_sampler
from uota.views import ViewPipeline
from uota.views.presets import preset_of

OUT = RESULTS / "third_party_loop.jsonl"
CONDITIONS = {"scenes": {"data": "demo-scenes"}, "injected-25": {"data": "demo", "inject": 0.25}}
EPOCHS, WARMUP_STEPS = 4, 60
TINY_IMAGES = 32


class Run(NamedTuple):
    """The fields that identify a line of results; `candidates` is how many views are made for each that is encoded."""

    condition: str
    model: str
    candidates: int
    seed: int


def plan() -> Iterator[Run]:
    """Yield all runs, seed by seed."""
    for seed, condition, model, candidates in product((0, 1, 2), CONDITIONS, MODELS, (1, 2)):
        yield Run(condition, model, candidates, seed)


def swav(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """Build lightly's SwAV in the size of the demo, and its loss of the views and the finished share of training."""
    model = SwaV(encoder, encoder.width, 256, 64, 100)
    # With lightly's default of 0.05 it learns nothing from the scenes in such a short run (linear / kNN 32.4 / 30.6).
    model.criterion = SwaVLoss(sinkhorn_epsilon=0.02)
    return model, lambda views, done: model.loss(views)


def dino(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """Build lightly's DINO in the same way; the teacher's momentum follows a cosine up to 1."""
    model = DINO(encoder, encoder.width, 256, 64, 512)
    return model, lambda views, done: model.loss(views, 1 - 0.01 * (cos(pi * done) + 1) / 2, epoch=0)


MODELS = {"lightly's swav": swav, "lightly's dino": dino}


def measure(run: Run, tiny: bool = False) -> dict:
    """Train, evaluate and return the line of a run."""
    condition, name, candidates, seed = run
    settings = Pretrain.from_flat(
        epochs=EPOCHS,
        warmup_steps=WARMUP_STEPS,
        seed=seed,
        arbiter="none",
        candidates=candidates,
        **CONDITIONS[condition],
    )
    count = TINY_IMAGES if tiny else None
    train, test = (first_images(open_source(settings.data.source, split), count) for split in ("train", "test"))
    if tiny:
        settings = settings.replace_flat(epochs=1, batch_size=TINY_IMAGES // 2)
    settings = resolve_auto(settings, train)
    torch.manual_seed(seed)
    encoder = Encoder("tiny", train.channels).to(memory_format=torch.channels_last)
    began = process_time()
    images = pretrain(*MODELS[name](encoder), settings, train)
    milliseconds = round(1000 * (process_time() - began) / images, 3)
    found = accuracy(encoder, train, test, preset_of(settings))
    return run._asdict() | found | {"milliseconds_an_image": milliseconds}


def pretrain(model: nn.Module, loss_of: Callable[[list[Tensor], float], Tensor], settings: Pretrain, source) -> int:
    """Train in a plain PyTorch loop, and return how many images it took."""
    preset = preset_of(settings)
    pipeline = ViewPipeline(
        preset.with_candidates(settings.arbitration.candidates), settings.runtime.seed, settings.views.inject
    )
    sampler = build_sampler(settings)
    step = 0
    batches = GlobalBatches(len(source), settings.optimization.batch_size, settings.runtime.seed, 0, 1, lambda: step)
    total = settings.optimization.total_steps(len(batches))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.optimization.learning_rate, weight_decay=settings.optimization.weight_decay
    )
    while step < total:
        for samples in batches:
            groups = pipeline(source, samples).by_size
            if sampler:
                groups = sampler(groups).by_size
            views = [view.contiguous(memory_format=torch.channels_last) for group in groups for view in group]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, total, settings)
            loss = loss_of(views, step / total)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return total * settings.optimization.batch_size


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet."""
    asked = parse(make_parser("third_party_loop", __doc__), arguments, OUT)
    if asked.tiny:
        runs = [Run("injected-25", name, 2, seed=0) for name in MODELS]
        make_missing(asked.out, runs, partial(measure, tiny=True), processes=1)
    else:
        make_missing(asked.out, plan(), measure)


if __name__ == "__main__":
    start(main)
