"""Views as small pictures and their edges: features for an arbiter that need no encoder."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from uota.arbitration.inputs import check_views_by_size, detached_float, require_finite
from uota.arbitration.state import own_modes
from uota.numerics import at_least_float32

SIDE = 12
# Edges are computed in pictures of at most this side, and averaged over a grid of cells.
EDGES_SIDE, CELLS = 24, 4
# Added to the length of a vector before dividing by it, so that a blank view stays near 0.
NOTHING = 1e-3


def thumbnails(
    by_size: list[Float[Tensor, "_ batch channels _ _"]], *, check_finite: bool = True
) -> Float[Tensor, "views batch dim"]:
    """Describe every view by 12×12 pixels and by its edges in a grid of 4×4 cells; the result is detached.

    Both are independent of the view's brightness and contrast, which augmentations change without changing what is
    shown.

    Args:
        by_size: views, one tensor per size.
        check_finite: require finite pixels, which waits for the device.

    Returns:
        A row of width channels · 144 + 64 for each view.

    Raises:
        ValueError: `by_size` is not a list of float tensors of views of the same images, or has NaN or infinite pixels.
    """
    return thumbnails_and_total(by_size, check_finite)[0]


def thumbnails_and_total(
    by_size: object, check_finite: bool
) -> tuple[Float[Tensor, "views batch dim"], Float[Tensor, ""]]:
    """Compute thumbnails, and the sum of all their entries."""
    checked = check_views_by_size(by_size)
    with own_modes(checked[0].device):
        found = torch.cat([_described(detached_float(views)) for views in checked])
        total = found.sum()
        if check_finite:
            require_finite(found, total, "pixels", "an image or an augmentation is broken, leave it out")
        return found, total


def _described(views: Float[Tensor, "views batch channels _ _"]) -> Float[Tensor, "views batch dim"]:
    picture = pooled(views, SIDE)
    return torch.cat([_unit(picture - picture.mean(-1, keepdim=True)), _unit(edges(views))], dim=-1)


def edges(views: Float[Tensor, "views batch channels _ _"]) -> Float[Tensor, "views batch dim"]:
    """Mean positive and negative slopes of the grey picture in each cell, horizontally and vertically.

    They carry the same information as the sums of dx and |dx| in SURF (Bay et al., 2006, section 4.2).
    """
    grey = views.flatten(0, 1).mean(1, keepdim=True)
    if max(grey.shape[-2:]) > EDGES_SIDE:
        grey = adaptive_avg_pool2d(grey, EDGES_SIDE)
    grey = pad(grey, (1, 1, 1, 1), mode="replicate")
    right = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    slopes = torch.cat([right.relu(), (-right).relu(), down.relu(), (-down).relu()], dim=1)
    return pooled(slopes.unflatten(0, views.shape[:2]), CELLS)


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.norm(dim=-1, keepdim=True) + NOTHING)


def pooled(maps: Float[Tensor, "views batch channels _ _"], side: int) -> Float[Tensor, "views batch dim"]:
    """Average pictures or feature maps to side × side, and flatten each to a row."""
    shrunk = adaptive_avg_pool2d(at_least_float32(maps.flatten(0, 1)), side)
    return shrunk.flatten(1).unflatten(0, maps.shape[:2])
