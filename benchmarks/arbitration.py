"""How long `arbitrate` takes beside the released formulation: python -m benchmarks.arbitration.

The released code inverts the covariance, forms the product of all pairs of views and reads its diagonal. Both run on
the same embeddings, in turn, in this run; medians, and their ratio, go to benchmarks/results/arbitration.json.
"""

import json
from pathlib import Path
from statistics import median

import torch

import uota
from benchmarks.timing import seconds

VIEWS, BATCH, DIM, TAU, REPETITIONS = 8, 512, 128, 350.0, 15
OUT = Path(__file__).parent / "results/arbitration.json"


def released(z: torch.Tensor) -> torch.Tensor:
    """Weights as the released code computes them."""
    deviations = (z - z.mean(0)).flatten(0, 1)
    covariance = deviations.T @ deviations / len(deviations) + 1e-8 * torch.eye(z.shape[-1])
    distances = torch.diagonal(deviations @ torch.inverse(covariance) @ deviations.T)
    return (len(distances) * torch.softmax(-distances / TAU, 0)).view(z.shape[:2])


def main() -> None:
    torch.set_num_threads(1)
    z = torch.nn.functional.normalize(
        torch.randn(VIEWS, BATCH, DIM, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    torch.testing.assert_close(uota.arbitrate(z, tau=TAU).weights, released(z), rtol=1e-4, atol=1e-4)
    pairs = [(seconds(lambda: uota.arbitrate(z, tau=TAU)), seconds(lambda: released(z))) for _ in range(REPETITIONS)]
    ours, theirs = (1000 * median(times) for times in zip(*pairs, strict=True))
    result = {"shape": [VIEWS, BATCH, DIM], "ours_ms": ours, "released_ms": theirs, "share": ours / theirs}
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"arbitrate {ours:.1f} ms, released {theirs:.1f} ms: {100 * ours / theirs:.1f} % of it (goal: at most 10 %)")


if __name__ == "__main__":
    main()
