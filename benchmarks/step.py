"""What an arbiter costs of a training step: python benchmarks/step.py (a few minutes).

SwAV with a ResNet-18, 64 images x (2 views of 224 pixels + 6 of 96), forward, backward and optimiser; beside it,
in turn, each arbiter on what it looks at in that step. Medians go to benchmarks/results/step.json.
"""

import json
from pathlib import Path
from statistics import median

import torch

from timing import seconds
from uota import Arbiter
from uota.config import Pretrain
from uota.methods.embedded import Step
from uota.training.build import build_module
from uota.training.looks import look

BATCH, STEPS = 64, 5
OUT = Path(__file__).parent / "results/step.json"
GOALS = {"mahalanobis": 0.01, "two_groups": 0.03, "learned": 0.03}


def main() -> None:
    torch.manual_seed(0)
    settings = Pretrain(views="swav", backbone="resnet18", arbiter="none", weigh="both")
    module = build_module(settings, total_steps=STEPS)
    method, optimizer = module.method, module.configure_optimizers()
    groups = [torch.randn(2, BATCH, 3, 224, 224), torch.randn(6, BATCH, 3, 96, 96)]
    arbiters = {
        "mahalanobis": ("embeddings", Arbiter("mahalanobis", tau=350.0)),
        "two_groups": ("embeddings", Arbiter("two_groups")),
        "learned": ("thumbnails", Arbiter("learned")),
    }
    times: dict[str, list[float]] = {name: [] for name in ("step", *arbiters)}

    def step() -> None:
        loss = method.loss(method.embed(groups, Step()), torch.ones(8, BATCH), Step(1000, 0.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        embedded = method.embed(groups, Step())
    for repetition in range(STEPS + 1):
        taken = {"step": seconds(step)}
        for name, (at, arbiter) in arbiters.items():
            taken[name] = seconds(lambda at=at, arbiter=arbiter: arbiter(look(at, embedded)))
        if repetition:  # the first warms up
            for name, value in taken.items():
                times[name].append(value)
    medians = {name: median(values) for name, values in times.items()}
    shares = {name: medians[name] / medians["step"] for name in arbiters}
    OUT.write_text(json.dumps({"step_seconds": medians["step"], "share": shares}, indent=1) + "\n")
    for name, share in shares.items():
        print(
            f"{name:12} {1000 * medians[name]:7.1f} ms, {100 * share:.2f} % of a step (goal {100 * GOALS[name]:.0f} %)"
        )


if __name__ == "__main__":
    main()
