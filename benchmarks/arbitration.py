"""Time of `arbitrate` compared with the released formulation: python -m benchmarks.arbitration

The released code inverts the covariance, forms the product of all pairs of views and reads its diagonal. Both take
turns on the same embeddings. Medians and their ratio go to benchmarks/results/arbitration.json.
"""

import json
from collections.abc import Sequence
from statistics import median

import torch

import uota
from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.timing import seconds

VIEWS, BATCH, DIM, TAU, REPETITIONS = 8, 512, 128, 350.0, 15
OUT = RESULTS / "arbitration.json"
TINY_BATCH = 32


def released(z: torch.Tensor) -> torch.Tensor:
    """Compute the weights as the released code does."""
    deviations = (z - z.mean(0)).flatten(0, 1)
    covariance = deviations.T @ deviations / len(deviations) + 1e-8 * torch.eye(z.shape[-1])
    distances = torch.diagonal(deviations @ torch.inverse(covariance) @ deviations.T)
    return (len(distances) * torch.softmax(-distances / TAU, 0)).view(z.shape[:2])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = make_parser("arbitration", __doc__)
    parser.add_argument("--repetitions", type=positive, help=f"calls of each (default {REPETITIONS})")
    asked = parse(parser, arguments, OUT)
    torch.set_num_threads(1)
    batch, repetitions = TINY_BATCH if asked.tiny else BATCH, asked.repetitions or (1 if asked.tiny else REPETITIONS)
    random = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(VIEWS, batch, DIM, generator=random), dim=-1)
    torch.testing.assert_close(uota.arbitrate(z, tau=TAU).weights, released(z), rtol=1e-4, atol=1e-4)
    pairs = [(seconds(lambda: uota.arbitrate(z, tau=TAU)), seconds(lambda: released(z))) for _ in range(repetitions)]
    ours, theirs = (1000 * median(times) for times in zip(*pairs, strict=True))
    result = {"shape": [VIEWS, batch, DIM], "ours_ms": ours, "released_ms": theirs, "share": ours / theirs}
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"arbitrate {ours:.1f} ms, released {theirs:.1f} ms: {100 * ours / theirs:.1f} % of it (goal: at most 10 %)")


if __name__ == "__main__":
    start(main)
