"""Chosen views in loops that know nothing of it: python -m benchmarks.anybodys_loop  (an hour on 2 cores).

lightly's SwAV and DINO (examples/), modules and losses untouched, with all views encoded and with those that a
`ViewSampler` keeps of twice as many; 25 % of the views replaced by strangers, and the demo scenes; three seeds. A line
each run, as it ends, to benchmarks/results/anybodys_loop.jsonl; runs that are there already are not made again.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from math import cos, pi
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import torch
from examples.lightly_dino import DINO
from examples.lightly_swav import SwaV
from torch import Tensor, nn

from uota import ViewSampler
from uota.config import Pretrain
from uota.data import open_source
from uota.evaluation import encoder_features, evaluate_knn, evaluate_linear
from uota.nn.encoder import Encoder
from uota.training.batches import GlobalBatches
from uota.training.build import decide, preset_of
from uota.training.schedules import learning_rate
from uota.views import ViewPipeline

OUT = Path(__file__).parent / "results/anybodys_loop.jsonl"
CONDITIONS = {"scenes": {"data": "demo-scenes"}, "injected-25": {"data": "demo", "inject": 0.25}}
EPOCHS = 4
Run = tuple[str, str, int, int]  # condition, model, candidates for every view, seed


def plan() -> Iterator[Run]:
    """Seed by seed."""
    for seed, condition, model, candidates in product((0, 1, 2), CONDITIONS, MODELS, (1, 2)):
        yield condition, model, candidates, seed


def swav(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """lightly's SwAV in the size of the demo; its loss, given views and the share of training that is done."""
    model = SwaV(encoder, encoder.width, 256, 64, 100)
    return model, lambda views, done: model.loss(views)


def dino(encoder: Encoder) -> tuple[nn.Module, Callable[[list[Tensor], float], Tensor]]:
    """lightly's DINO likewise; the teacher's momentum rises to 1 along a cosine."""
    model = DINO(encoder, encoder.width, 256, 64, 512)
    return model, lambda views, done: model.loss(views, 1 - 0.01 * (cos(pi * done) + 1) / 2, epoch=0)


MODELS = {"swav": swav, "dino": dino}


def measure(run: Run) -> dict:
    """Train and evaluate."""
    condition, name, candidates, seed = run
    torch.set_num_threads(1)
    settings = Pretrain(epochs=EPOCHS, seed=seed, arbiter="none", candidates=candidates, **CONDITIONS[condition])
    train, test = (open_source(settings.data, split) for split in ("train", "test"))
    settings = decide(settings, train)
    torch.manual_seed(seed)
    encoder = Encoder("tiny", train.channels).to(memory_format=torch.channels_last)
    began = process_time()
    images = pretrain(*MODELS[name](encoder), settings, train)
    milliseconds = round(1000 * (process_time() - began) / images, 3)
    features = [encoder_features(encoder, source, preset_of(settings)) for source in (train, test)]
    found = {"linear": round(evaluate_linear(*features).top1, 2), "knn": round(evaluate_knn(*features).top1, 2)}
    what = {"condition": condition, "model": f"lightly's {name}", "candidates": candidates, "seed": seed}
    return what | found | {"milliseconds_an_image": milliseconds}


def pretrain(model: nn.Module, loss_of: Callable[[list[Tensor], float], Tensor], settings: Pretrain, source) -> int:
    """The loop that belongs to anybody; how many images it took."""
    preset = preset_of(settings)
    pipeline = ViewPipeline(preset.with_candidates(settings.candidates), settings.seed, settings.inject)
    sampler = ViewSampler([group.count for group in preset.groups], settings.seed)
    step = 0
    batches = GlobalBatches(len(source), settings.batch_size, settings.seed, 0, 1, lambda: step)
    total = len(batches) * settings.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    while step < total:
        for samples in batches:
            groups = pipeline(source, samples).groups
            if settings.candidates > 1:
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


def main() -> None:
    rows = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    done = {(row["condition"], row["model"], row["candidates"], row["seed"]) for row in rows}
    missing = [run for run in plan() if (run[0], f"lightly's {run[1]}", *run[2:]) not in done]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for made in as_completed([pool.submit(measure, run) for run in missing]):
            with OUT.open("a") as file:
                file.write(json.dumps(made.result()) + "\n")
            print(json.dumps(made.result()), flush=True)


if __name__ == "__main__":
    main()
