"""A memory bank of all images' embeddings, which supplies negatives (Wu et al. 2018, Unsupervised Feature Learning via
Non-Parametric Instance Discrimination, section 3.1)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.distributed import gather_rows, mean_over_ranks


class MemoryBank(nn.Module):
    """A moving average of every image's embedding, the same on every rank.

    Args:
        images: number of images.
        dim: dimension of an embedding.
        momentum: weight of the old embedding in the average, which is then normalised.
        temperature: divisor of inner products.
    """

    rows: Tensor
    constant: Tensor

    def __init__(self, images: int, dim: int, momentum: float, temperature: float) -> None:
        super().__init__()
        bound = (3 / dim) ** 0.5  # gives rows a mean squared norm of 1
        self.register_buffer("rows", torch.empty(images, dim).uniform_(-bound, bound))
        self.register_buffer("constant", torch.zeros(()))  # 0: not yet set
        self.momentum, self.temperature = momentum, temperature
        self._has_constant = False  # on the host: the constant is set once

    def probabilities(
        self, anchors: Float[Tensor, "views batch dim"], among: Int64[Tensor, "batch drawn"]
    ) -> Float[Tensor, "views batch drawn"]:
        """Return the probability that each anchor (a unit vector) shows each of the images `among`, of all images.

        The denominator of the softmax over all images is a constant, estimated from the first global batch (Wu et al.
        2018, section 3.2).
        """
        scores = (torch.einsum("vbd,bkd->vbk", anchors, self.rows[among].to(anchors)) / self.temperature).exp()
        if not self._has_constant:
            self._set_constant(scores.detach())
        return scores / self.constant

    def _set_constant(self, scores: Tensor) -> None:
        """Estimate the constant unless a checkpoint restored it."""
        (mean,) = mean_over_ranks(scores.mean())
        self.constant.copy_(torch.where(self.constant == 0, len(self.rows) * mean, self.constant))
        self._has_constant = True

    @torch.no_grad()
    def update(self, index: Int64[Tensor, " batch"], new: Float[Tensor, "batch dim"]) -> None:
        """Average the embeddings of all ranks' images with new ones, which are unit vectors."""
        index, new = gather_rows(index).rows, gather_rows(new.detach()).rows.to(self.rows)
        mixed = self.momentum * self.rows[index] + (1 - self.momentum) * new
        self.rows[index] = normalize(mixed, dim=-1)


def draw(images: int, shape: tuple[int, int], device: torch.device) -> Int64[Tensor, "batch drawn"]:
    """Draw indices of images uniformly, with replacement."""
    return torch.randint(images, shape, device=device)
