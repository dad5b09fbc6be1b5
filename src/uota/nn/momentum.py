"""Momentum encoders: slow copies that make targets (He et al., 2020; Grill et al., 2020)."""

from copy import deepcopy

import torch
from jaxtyping import Float
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from uota.collectives import share_of_rows
from uota.nn.encoder import BatchNorm, Encoder, images_of, join_parts, parts_by_statistics


class MomentumCopy(nn.Module):
    """A copy of an encoder and its projector that follows them slowly and is never trained.

    Args:
        encoder, projector: what is copied.
        parts: in how many parts of the batch targets are computed. Each part has its own batch statistics, and holds
            every parts-th image, so that a target does not share its statistics with its own prediction: what MoCo
            reaches by shuffling the batch between devices. Counted over the images of all ranks.
        batch_norm: whether the views share statistics or each has its own.
    """

    def __init__(self, encoder: Encoder, projector: nn.Module, parts: int = 1, batch_norm: BatchNorm = "joint") -> None:
        super().__init__()
        self.encoder, self.projector = deepcopy(encoder), deepcopy(projector)
        self.parts = parts
        self.batch_norm = batch_norm
        deactivate_requires_grad(self)

    @torch.no_grad()
    def follow(self, encoder: Encoder, projector: nn.Module, momentum: float) -> None:
        """Each parameter becomes momentum × itself + (1 - momentum) × the original's."""
        update_momentum(encoder, self.encoder, momentum)
        update_momentum(projector, self.projector, momentum)

    @torch.no_grad()
    def forward(self, views: Float[Tensor, "views batch channels _ _"]) -> Float[Tensor, "views batch dim"]:
        """Projections of the views."""
        if self.parts == 1:  # nothing to ask other ranks, nothing to put together
            return self._project(views)
        first, images = share_of_rows(views[0])
        parts = min(self.parts, images)
        starts = [(part - first) % parts for part in range(parts)]
        made = [self._project(views[:, start::parts]) for start in starts]
        out = made[0].new_empty(*views.shape[:2], made[0].shape[-1])
        for start, projected in zip(starts, made, strict=True):
            out[:, start::parts] = projected
        return out

    def _project(self, views: Tensor) -> Tensor:
        each = parts_by_statistics(views, self.batch_norm)
        made = [self.projector(self.encoder(images_of(part))) for part in each]
        return join_parts(made).unflatten(0, views.shape[:2])
