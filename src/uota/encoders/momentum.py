"""Momentum encoders: moving averages of an encoder, which compute targets (He et al. 2020; Grill et al. 2020)."""

from copy import deepcopy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.nn.modules.batchnorm import _BatchNorm

from uota.distributed import gather_rows, share_of_rows, world_size
from uota.encoders.encoder import EARLY_SIDE, BatchNorm, Encoder, images_of, join_parts, parts_by_statistics
from uota.encoders.sync_batchnorm import SyncBatchNorm


class Encoded(NamedTuple):
    """Encoded views, each field (views, batch, …).

    Attributes:
        projected: projections.
        features: features of the encoder.
        early: early feature maps, pooled to 4×4.
    """

    projected: Tensor
    features: Tensor
    early: Tensor


@torch.no_grad()
def follow(copy: nn.Module, original: nn.Module, momentum: float) -> None:
    """Set each parameter of a copy to momentum × itself + (1 - momentum) × the original's."""
    copied: list[Tensor] = list(copy.parameters())
    originals: list[Tensor] = list(original.parameters())
    torch._foreach_lerp_(copied, originals, 1.0 - momentum)


class MomentumCopy(nn.Module):
    """An exponential moving average of an encoder and its projector, which is not trained.

    Args:
        encoder: encoder to copy.
        projector: projector to copy.
        ghost_batches: above 1, a target does not share batch statistics with its prediction. Devices with separate
            statistics exchange images at random (MoCo's shuffling); otherwise the global batch is encoded in this
            number of ghost batches, each of every `ghost_batches`-th image.
        batch_norm: whether the views share batch statistics ("joint") or each has its own ("per_view").
    """

    def __init__(
        self, encoder: Encoder, projector: nn.Module, ghost_batches: int = 1, batch_norm: BatchNorm = "joint"
    ) -> None:
        super().__init__()
        self.encoder, self.projector = deepcopy(encoder), deepcopy(projector)
        self.ghost_batches = ghost_batches
        self.batch_norm = batch_norm
        self.requires_grad_(False)

    def follow(self, encoder: Encoder, projector: nn.Module, momentum: float) -> None:
        """Set each parameter to momentum × itself + (1 - momentum) × the original's."""
        follow(self.encoder, encoder, momentum)
        follow(self.projector, projector, momentum)

    def forward(self, views: Float[Tensor, "views batch channels _ _"]) -> Float[Tensor, "views batch dim"]:
        """Return the projections of the views."""
        return self.encode(views).projected

    @torch.no_grad()
    def encode(self, views: Float[Tensor, "views batch channels _ _"]) -> Encoded:
        """Return the projections of the views, and the features and early maps for the arbiter."""
        if self.ghost_batches == 1:  # nothing to exchange with other ranks or to reassemble
            return self._encode(views)
        if self.training and world_size() > 1 and self._has_local_statistics():
            return self._encode_shuffled(views)
        return self._encode_in_ghost_batches(views)

    def _has_local_statistics(self) -> bool:
        return any(isinstance(each, _BatchNorm) and not isinstance(each, SyncBatchNorm) for each in self.modules())

    def _encode_shuffled(self, views: Tensor) -> Encoded:
        """Encode as many images as this rank holds, drawn at random from all ranks (He et al. 2020, section 3.3)."""
        own = views.flatten(0, 1)
        images, first = gather_rows(own)
        order = gather_rows(torch.randperm(len(images), device=images.device)[None]).rows[0]  # of the first rank
        mine = slice(first, first + len(own))
        made = self._encode(images[order[mine]][None])
        back = order.argsort()[mine]
        return Encoded(*(gather_rows(part[0]).rows[back].unflatten(0, views.shape[:2]) for part in made))

    def _encode_in_ghost_batches(self, views: Tensor) -> Encoded:
        first, images = share_of_rows(views[0])
        ghost_batches = min(self.ghost_batches, images)
        starts = [(part - first) % ghost_batches for part in range(ghost_batches)]
        made = [self._encode(views[:, start::ghost_batches]) for start in starts]
        whole = Encoded(*(part.new_empty(*views.shape[:2], *part.shape[2:]) for part in made[0]))
        for start, encoded in zip(starts, made, strict=True):
            for out, part in zip(whole, encoded, strict=True):
                out[:, start::ghost_batches] = part
        return whole

    def _encode(self, views: Tensor) -> Encoded:
        made = [self._encode_images(images_of(part)) for part in parts_by_statistics(views, self.batch_norm)]
        return Encoded(*(join_parts(each).unflatten(0, views.shape[:2]) for each in zip(*made, strict=True)))

    def _encode_images(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features, early = self.encoder.with_early_map(images)
        return self.projector(features), features, adaptive_avg_pool2d(early, EARLY_SIDE)
