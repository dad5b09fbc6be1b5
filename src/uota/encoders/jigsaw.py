"""Jigsaws: shuffled pieces of a view (Noroozi & Favaro 2016), in the form of PIRL (Misra & van der Maaten 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.distributed import share_of_rows
from uota.encoders.heads import MLP

SIDE = 3  # number of pieces along each axis
SHARE = 64 / 85  # side of a piece relative to its cell


class JigsawHead(nn.Module):
    """A projector shared by all pieces, followed by a linear layer over the concatenated projections of the nine."""

    def __init__(self, width: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.piece = MLP(width, hidden, dim, batch_norm=False)
        self.join = nn.Linear(SIDE**2 * dim, dim)

    def forward(self, features: Float[Tensor, "views batch pieces width"]) -> Float[Tensor, "views batch dim"]:
        return self.join(self.piece(features).flatten(2))


def pieces(
    views: Float[Tensor, "views batch channels size size"], number: int, start: int = 0, images: int | None = None
) -> Float[Tensor, "views batch pieces channels piece piece"]:
    """Cut each view into nine shuffled pieces at random positions of their cells (64 of 85 pixels for views of 255).

    Orders and positions depend on the number of the step and the image's position in the global batch alone.

    Args:
        views: of some images of this rank's batch.
        number: of the step.
        start: index of the first of them in the batch.
        images: number of images in the batch; None: these are all.
    """
    random = torch.Generator().manual_seed(number)
    own = views.shape[1]
    first, total = share_of_rows(views.new_empty(own if images is None else images, 0))
    cell = views.shape[-1] // SIDE
    piece = max(round(SHARE * cell), 1)
    order = torch.rand(len(views), total, SIDE**2, generator=random, dtype=torch.float32).argsort(-1)
    cuts = torch.randint(cell - piece + 1, (*order.shape, 2), generator=random)
    corners = cell * torch.stack([order // SIDE, order % SIDE], -1) + cuts
    mine = slice(first + start, first + start + own)
    top, left = corners[:, mine].to(views.device, non_blocking=True).unbind(-1)
    windows = views.unfold(-2, piece, 1).unfold(-2, piece, 1)
    view, image = (torch.arange(n, device=views.device) for n in views.shape[:2])
    return windows[view[:, None, None], image[:, None], :, top, left]
