"""A training step beside others: python -m benchmarks.step cost | peers [tiny|resnet18]  (on an idle machine; minutes).

cost: what an arbiter costs of a step. SwAV with a ResNet-18, 64 images x (2 views of 224 pixels + 6 of 96); beside it,
    in turn, each arbiter on what it looks at in that step.
peers: images per second of six methods with the learned arbiter, beside the same method in the style of lightly's
    examples, without one: the same backbone, heads and views, already made, in turn, 2 threads. Once the small ResNet
    that is trained on a CPU here, 128 images x 2 views of 24 pixels (SwAV: and 4 of 16); once ResNet-18, 64 images x 2
    views of 96 pixels (SwAV: and 6 of 48). The third column is ours with the encoder compiled (`--compile true`).

Medians go to benchmarks/results/step-cost.json and step-peers.json.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.lightly_steps import STEPS, lightly_step
from benchmarks.timing import seconds
from uota import Arbiter
from uota.encoders.encoder import Encoder
from uota.losses import ViewWeights
from uota.methods import METHODS, Step
from uota.methods.build import compile_encoders
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.setup import build_module

BATCH, REPETITIONS = 64, 5
RESULTS = Path(__file__).parent / "results"
GOALS = {"mahalanobis": 0.01, "two_groups": 0.03, "learned": 0.03}
FASTER = 1.2
SETUPS = (("tiny", 128, ((2, 24), (4, 16))), ("resnet18", 64, ((2, 96), (6, 48))))


def in_turn(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, the first round left out."""
    rounds = [{name: seconds(function) for name, function in work.items()} for _ in range(REPETITIONS + 1)]
    return {name: median(taken[name] for taken in rounds[1:]) for name in work}


def cost() -> None:
    torch.manual_seed(0)
    module = build_module(Pretrain(views="swav", backbone="resnet18", arbiter="none", weigh="both"), total_steps=10)
    method, optimizer = module.method, module.configure_optimizers()
    groups = [torch.randn(2, BATCH, 3, 224, 224), torch.randn(6, BATCH, 3, 96, 96)]
    arbiters = {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=350.0)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned": ("thumbnails", Arbiter("learned")),
    }

    def step() -> None:
        loss = method.loss(method.embed(groups, Step()), ViewWeights.uniform(8, BATCH), Step(1000, 0.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        embedded = method.embed(groups, Step())
    judged = {
        name: partial(lambda at, arbiter: arbiter(arbiter_input(at, embedded)), *pair)
        for name, pair in arbiters.items()
    }
    medians = in_turn({"step": step} | judged)
    shares = {name: medians[name] / medians["step"] for name in arbiters}
    written = {"step_seconds": medians["step"], "share": shares}
    (RESULTS / "step-cost.json").write_text(json.dumps(written, indent=1) + "\n")
    for name, share in shares.items():
        print(f"{name:12} {100 * share:.2f} % of a step (goal {100 * GOALS[name]:.0f} %)")


def our_step(name: str, backbone: str, groups: list[Tensor], compiled: bool = False) -> Callable[[], None]:
    """The same step here, with the learned arbiter on thumbnails."""
    torch.manual_seed(0)
    card = METHODS[name]
    heads = {"hidden": 2048, "dim": 2048} if name == "barlow_twins" else {}
    method = card.build(Encoder(backbone, 3, groups[0].shape[-1]), **card.options | heads).to(
        memory_format=torch.channels_last
    )
    if compiled:
        compile_encoders(method)
    arbiter = Arbiter("learned")
    optimizer = torch.optim.SGD(method.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        embedded = method.embed(groups, Step(1000, 0.5))
        weights = ViewWeights(arbiter(arbiter_input("thumbnails", embedded)).weights)
        method.loss(embedded, weights, Step(1000, 0.5)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def peers(backbones: list[str]) -> None:
    torch.set_num_threads(2)
    out = RESULTS / "step-peers.json"
    rows: dict[str, dict] = json.loads(out.read_text())
    for (backbone, batch, sizes), name in product(SETUPS, STEPS):
        if backbone not in backbones:
            continue
        groups = [torch.randn(count, batch, 3, size, size) for count, size in (sizes if name == "swav" else sizes[:1])]
        views = [view for group in groups for view in group]
        steps = {
            "uota": our_step(name, backbone, groups),
            "lightly": lightly_step(name, backbone, views),
            "compiled": our_step(name, backbone, groups, compiled=True),
        }
        taken = in_turn(steps)
        row = {who: round(batch / value, 2) for who, value in taken.items()}
        ratios = {who: round(taken["lightly"] / taken[who], 3) for who in ("uota", "compiled")}
        rows[backbone][name] = row | {"ratio": ratios["uota"], "ratio_compiled": ratios["compiled"]}
        print(f"{backbone:9} {name:13} {rows[backbone][name]} (goal {FASTER})", flush=True)
        out.write_text(json.dumps(rows, indent=1) + "\n")


def main(what: str, *backbones: str) -> None:
    if what == "cost":
        cost()
    else:
        peers(list(backbones) or [backbone for backbone, _, _ in SETUPS])


if __name__ == "__main__":
    main(*sys.argv[1:])
