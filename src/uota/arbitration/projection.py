"""Projection of frozen features to the unit vectors that a score compares, with or without a small trained head."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.arbitration.inputs import check_seed
from uota.arbitration.scores.contrast import DOUBT, cosines
from uota.arbitration.scores.learned import info_nce

HIDDEN = 256
# Images in a training step, and the settings of AdamW and InfoNCE. The head starts from the identity, and a rate ten
# times as high was worse than no training after 50 steps on 641 images (benchmarks/eyes.py).
BATCH, RATE, DECAY, TEMPERATURE = 128, 1e-4, 1e-4, 0.3


class Projection(nn.Module):
    """Centre each part of the features, scale it to length 1, concatenate, and add what a head has learned.

    Features of a pretrained encoder share a large mean, which makes all cosines high; it is subtracted. Parts of equal
    length weigh the same, whatever their widths.

    Args:
        means: mean of each part of the features.
        hidden: width of the head's hidden layer; None: there is no head.
        seed: seed of the head's first layer. Its last layer starts at 0, so that an untrained head changes nothing.
    """

    def __init__(self, means: Sequence[Float[Tensor, " dim"]], hidden: int | None = None, seed: int = 0) -> None:
        super().__init__()
        width = sum(len(mean) for mean in means)
        for place, mean in enumerate(means):
            self.register_buffer(f"mean_{place}", mean.detach().clone())
        self.parts = len(means)
        self.head = None if hidden is None else _new_head(width, hidden, check_seed(seed))

    def forward(self, parts: Sequence[Float[Tensor, "*rows _"]]) -> Float[Tensor, "*rows dim"]:
        """Project the parts of the features of any number of views."""
        means = [self.get_buffer(f"mean_{place}") for place in range(self.parts)]
        centred = [normalize(part - mean, dim=-1) for part, mean in zip(parts, means, strict=True)]
        x = normalize(torch.cat(centred, -1), dim=-1)
        if self.head is None:
            return x
        # entries of unit vectors are of size 1 / √width; layers are initialised for entries of size 1
        return normalize(x + self.head(x * x.shape[-1] ** 0.5), dim=-1)


def mean_of_views(features: Float[Tensor, "views images dim"]) -> Float[Tensor, " dim"]:
    """Mean over all views, in float64 inside."""
    return features.double().mean((0, 1)).to(features.dtype)


def fit_projection(parts: Sequence[Float[Tensor, "views images _"]], steps: int, seed: int = 0) -> Projection:
    """Fit a projection to the views of images: their means and, with steps, a head.

    The head learns by InfoNCE to tell a view's own image, represented by the image's other views, among the images of
    a batch (as `LearnedContrast` does).

    Args:
        parts: parts of the features, each of all views of all images.
        steps: training steps of the head; 0: no head.
        seed: seed of the head and of the batches.
    """
    means = [mean_of_views(part) for part in parts]
    projection = Projection(means, HIDDEN if steps else None, seed)
    if steps == 0:
        return projection.eval()
    generator = torch.Generator().manual_seed(seed)
    images = parts[0].shape[1]
    with torch.inference_mode(False), torch.enable_grad():
        optimizer = torch.optim.AdamW(projection.parameters(), lr=RATE, weight_decay=DECAY)
        for _ in range(steps):
            chosen = torch.randperm(images, generator=generator)[:BATCH]
            z = projection([part[:, chosen] for part in parts])
            loss = info_nce(cosines(z, DOUBT), TEMPERATURE)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return projection.eval().requires_grad_(False)


def _new_head(width: int, hidden: int, seed: int) -> nn.Sequential:
    """Build the head without touching the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
    last = head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return head
