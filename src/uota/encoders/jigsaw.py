"""Jigsaws: the shuffled pieces of a view (Noroozi & Favaro, 2016), as PIRL (Misra & van der Maaten, 2020) has them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.distributed import share_of_rows
from uota.encoders.heads import MLP

SIDE = 3  # pieces of a jigsaw, along each axis
SHARE = 64 / 85  # side of a piece, relative to its cell


class JigsawHead(nn.Module):
    """A projector for each piece, then a linear layer over the projections of all nine in their order."""

    def __init__(self, width: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.piece = MLP(width, hidden, dim, batch_norm=False)
        self.join = nn.Linear(SIDE**2 * dim, dim)

    def forward(self, features: Float[Tensor, "views batch pieces width"]) -> Float[Tensor, "views batch dim"]:
        return self.join(self.piece(features).flatten(2))


def pieces(
    views: Float[Tensor, "views batch channels size size"], number: int
) -> Float[Tensor, "views batch pieces channels piece piece"]:
    """The nine pieces of each view, shuffled and cut at random places of their cells (64 of 85 pixels, of 255).

    Orders and places follow from the number of the step and the image's place in the batch of all ranks.
    """
    random = torch.Generator().manual_seed(number)
    (first, images), own = share_of_rows(views[0]), views.shape[1]
    cell = views.shape[-1] // SIDE
    piece = max(round(SHARE * cell), 1)
    order = torch.rand(len(views), images, SIDE**2, generator=random, dtype=torch.float32).argsort(-1)
    cuts = torch.randint(cell - piece + 1, (*order.shape, 2), generator=random)
    corners = cell * torch.stack([order // SIDE, order % SIDE], -1) + cuts
    top, left = corners[:, first : first + own].to(views.device).unbind(-1)
    windows = views.unfold(-2, piece, 1).unfold(-2, piece, 1)
    view, image = (torch.arange(n, device=views.device) for n in views.shape[:2])
    return windows[view[:, None, None], image[:, None], :, top, left]
