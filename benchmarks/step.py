"""The cost of a training step: python -m benchmarks.step cost | peers [tiny] [resnet18]  (minutes, on an idle machine)

cost: the share of a step that an arbiter takes. SwAV with a ResNet-18 on 64 images x (2 views of 224 pixels + 6 of 96)
    and each arbiter, on its input in that step, take turns.
peers: images per second of six methods with the learned arbiter, compared with the same method as in lightly's
    examples, without an arbiter. Both have the same backbone, heads and ready-made views, and take turns on 2 threads:
    with the small ResNet that is trained on CPUs here, on 128 images x 2 views of 24 pixels (SwAV: and 4 of 16), and
    with a ResNet-18, on 64 images x 2 views of 96 pixels (SwAV: and 6 of 48). A third column is uota compiled
    (`--compile true`).

Medians go to benchmarks/results/step-cost.json and step-peers.json.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.lightly_steps import STEPS, lightly_step
from benchmarks.timing import seconds
from uota import Arbiter
from uota.encoders.encoder import Encoder
from uota.losses import ViewWeights
from uota.methods import METHODS, Step
from uota.methods.build import compile_method
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.setup import build_module

BATCH, REPETITIONS = 64, 5
GOALS = {"mahalanobis": 0.01, "two_groups": 0.03, "learned": 0.03}
FASTER = 1.2


class Setup(NamedTuple):
    """A backbone, images per step, and count and side of the views of each size."""

    backbone: str
    batch: int
    sizes: tuple[tuple[int, int], ...]


SETUPS = (Setup("tiny", 128, ((2, 24), (4, 16))), Setup("resnet18", 64, ((2, 96), (6, 48))))
BACKBONES = tuple(setup.backbone for setup in SETUPS)
# One method with a momentum encoder, and the one with views of several sizes.
TINY_METHODS = ("moco_v2", "swav")
TINY_SETUP = Setup("tiny", 4, ((2, 24), (4, 16)))
COST_SETUP = Setup("resnet18", BATCH, ((2, 224), (6, 96)))


def in_turn(work: dict[str, Callable[[], object]], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return the median seconds of each function; a first round does not count."""
    rounds = [{name: seconds(function) for name, function in work.items()} for _ in range(repetitions + 1)]
    return {name: median(taken[name] for taken in rounds[1:]) for name in work}


def cost(out: Path, tiny: bool) -> None:
    """Measure the share of each arbiter in a step of SwAV."""
    torch.manual_seed(0)
    backbone, batch, sizes = TINY_SETUP if tiny else COST_SETUP
    asked = Pretrain.from_flat(method="swav", views="swav", backbone=backbone, arbiter="none", weighted_side="both")
    module = build_module(asked, total_steps=10)
    method, optimizer = module.method, module.configure_optimizers()
    groups = [torch.randn(count, batch, 3, side, side) for count, side in sizes]
    arbiters = {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=350.0)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned": ("thumbnails", Arbiter("learned")),
    }

    def step() -> None:
        weights = ViewWeights.uniform(sum(map(len, groups)), batch)
        loss = method.loss(method.embed(groups, Step()), weights, Step(1000, 0.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        embedded = method.embed(groups, Step())
    judged = {
        name: partial(lambda at, arbiter: arbiter(arbiter_input(at, embedded)), *pair)
        for name, pair in arbiters.items()
    }
    medians = in_turn({"step": step} | judged, 1 if tiny else REPETITIONS)
    shares = {name: medians[name] / medians["step"] for name in arbiters}
    written = {"step_seconds": medians["step"], "share": shares}
    out.write_text(json.dumps(written, indent=1) + "\n")
    for name, share in shares.items():
        print(f"{name:12} {100 * share:.2f} % of a step (goal {100 * GOALS[name]:.0f} %)")


def our_step(name: str, backbone: str, groups: list[Tensor], compiled: bool = False) -> Callable[[], None]:
    """Return the same step with uota and the learned arbiter on thumbnails."""
    torch.manual_seed(0)
    card = METHODS[name]
    heads = {"hidden": 2048, "dim": 2048} if name == "barlow_twins" else {}
    method = card.build(Encoder(backbone, 3, groups[0].shape[-1]), **card.options | heads).to(
        memory_format=torch.channels_last
    )
    if compiled:
        compile_method(method)
    arbiter = Arbiter("learned")
    if compiled:
        arbiter.compile()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        embedded = method.embed(groups, Step(1000, 0.5))
        weights = ViewWeights(arbiter(arbiter_input("thumbnails", embedded)).weights)
        method.loss(embedded, weights, Step(1000, 0.5)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def peers(
    out: Path,
    setups: Sequence[Setup],
    methods: Sequence[str] = tuple(STEPS),
    repetitions: int = REPETITIONS,
    compiled: bool = True,
    threads: int = 2,
) -> None:
    """Measure the steps of uota and of lightly, and write them after each method."""
    torch.set_num_threads(threads)
    rows: dict[str, dict] = json.loads(out.read_text()) if out.exists() else {}
    for (backbone, batch, sizes), name in product(setups, methods):
        groups = [torch.randn(count, batch, 3, size, size) for count, size in (sizes if name == "swav" else sizes[:1])]
        views = [view for group in groups for view in group]
        steps = {
            "uota": our_step(name, backbone, groups),
            "lightly": lightly_step(name, backbone, views),
        }
        if compiled:
            steps["compiled"] = our_step(name, backbone, groups, compiled=True)
        taken = in_turn(steps, repetitions)
        row = {who: round(batch / value, 2) for who, value in taken.items()}
        row["ratio"] = round(taken["lightly"] / taken["uota"], 3)
        if compiled:
            row["ratio_compiled"] = round(taken["lightly"] / taken["compiled"], 3)
        rows.setdefault(backbone, {})[name] = row
        print(f"{backbone:9} {name:13} {row} (goal {FASTER})", flush=True)
        out.write_text(json.dumps(rows, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures of one part."""
    parser = make_parser("step", __doc__)
    parser.add_argument("what", choices=("cost", "peers"), help="what is measured")
    parser.add_argument("backbones", nargs="*", default=[], help=f"of peers: {', '.join(BACKBONES)} (default: all)")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.backbones if name not in BACKBONES]:
        parser.error(f"there is no backbone {unknown[0]!r} here; choose among {', '.join(BACKBONES)}")
    if asked.what == "cost" and asked.backbones:
        parser.error("cost takes no backbones; leave them out")
    asked = parse(parser, arguments, RESULTS / f"step-{asked.what}.json")
    if asked.what == "cost":
        cost(asked.out, asked.tiny)
    elif asked.tiny:
        peers(asked.out, (TINY_SETUP,), TINY_METHODS, repetitions=1, compiled=False, threads=1)
    else:
        peers(asked.out, [setup for setup in SETUPS if setup.backbone in (asked.backbones or BACKBONES)])


if __name__ == "__main__":
    start(main)
