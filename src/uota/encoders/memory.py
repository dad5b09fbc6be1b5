"""A memory of all images as a source of negatives (Wu et al., *Unsupervised Feature Learning via Non-Parametric
Instance Discrimination*, CVPR 2018)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.distributed import gather_rows, mean_over_ranks


class Memory(nn.Module):
    """A moving average of every image's embedding, the same on every rank.

    Args:
        images: their number.
        dim: of an embedding.
        momentum: share of the old embedding that stays, before the mixture is normalised.
        temperature: divides inner products.
    """

    rows: Tensor
    constant: Tensor

    def __init__(self, images: int, dim: int, momentum: float, temperature: float) -> None:
        super().__init__()
        bound = (3 / dim) ** 0.5  # of length 1 on average
        self.register_buffer("rows", torch.empty(images, dim).uniform_(-bound, bound))
        self.register_buffer("constant", torch.zeros(()))  # 0: not yet set
        self.momentum, self.temperature = momentum, temperature
        self._has_constant = False  # as far as is known without asking the device

    def probabilities(
        self, anchors: Float[Tensor, "views batch dim"], among: Int64[Tensor, "batch drawn"]
    ) -> Float[Tensor, "views batch drawn"]:
        """Probability that each anchor, on the unit sphere, shows each of the given images rather than any other.

        The denominator of the softmax over all images is a constant, estimated from the first batch of all ranks.
        """
        scores = (torch.einsum("vbd,bkd->vbk", anchors, self.rows[among].to(anchors)) / self.temperature).exp()
        if not self._has_constant:
            self._set_constant(scores.detach())
        return scores / self.constant

    def _set_constant(self, scores: Tensor) -> None:
        """Estimate the constant, unless it came with a checkpoint; only the first step waits for the device."""
        if not self.constant:
            (mean,) = mean_over_ranks(scores.mean())
            self.constant.copy_(len(self.rows) * mean)
        self._has_constant = True

    @torch.no_grad()
    def follow(self, index: Int64[Tensor, " batch"], new: Float[Tensor, "batch dim"]) -> None:
        """Move the embeddings of the images of all ranks towards new ones on the unit sphere."""
        index, new = gather_rows(index).rows, gather_rows(new.detach()).rows.to(self.rows)
        mixed = self.momentum * self.rows[index] + (1 - self.momentum) * new
        self.rows[index] = normalize(mixed, dim=-1)


def draw(images: int, shape: tuple[int, int], device: torch.device) -> Int64[Tensor, "batch drawn"]:
    """Draw indices of images uniformly, with replacement."""
    return torch.randint(images, shape, device=device)
