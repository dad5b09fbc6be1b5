"""Region proposals and ROIAlign as in detectron2, built from torchvision's.

Published results come from detectron2, some of whose choices are no options of torchvision's detectors: anchors that
are not rounded, on the strides of the network; L1 losses divided by a fixed number of anchors; ROIAlign without a shift
by half a pixel ("ROIAlignV2"), with as many samples as a region has pixels.
"""

from collections.abc import Sequence
from math import log2
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign, roi_align

from uota.transfer.pyramid import ANCHOR, RATIOS


class Anchors(AnchorGenerator):
    """Anchors of exact sides, 8 strides of their level wide at ratio 1, one stride apart.

    torchvision rounds their corners to whole pixels, and measures strides on the padded image, which gives 61 instead
    of 64 on the coarsest level of an image of 800 pixels. Source: detectron2/modeling/anchor_generator.py.

    Args:
        strides: of the levels, in pixels.
    """

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__(tuple((ANCHOR * stride,) for stride in strides), (RATIOS,) * len(strides))
        self.strides = strides
        ratios = torch.tensor(RATIOS)
        half = torch.stack([ratios.rsqrt(), ratios.sqrt()], dim=1) / 2  # ratios are heights over widths
        self.cell_anchors = [ANCHOR * stride * torch.cat([-half, half], dim=1) for stride in strides]

    def grid_anchors(self, grid_sizes: Any, strides: Any) -> list[Float[Tensor, "_ 4"]]:
        """Anchors at all places of each level, on the network's strides, not on the measured `strides`."""
        return super().grid_anchors(grid_sizes, [(stride, stride) for stride in self.strides])


class AlignedPool(MultiScaleRoIAlign):
    """ROIAlign from the level that suits a region's size (Lin et al., Feature Pyramid Networks, eq. 1).

    `aligned=True`, so that pixel centres lie at half coordinates, and `sampling_ratio=0`: as many samples in each bin
    as it is pixels wide. Source: detectron2/modeling/poolers.py, ROIAlignV2.

    Args:
        levels: names of the maps.
        strides: of the maps, in pixels.
        side: of the output.
    """

    def __init__(self, levels: list[str], strides: Sequence[int], side: int) -> None:
        super().__init__(levels, side, sampling_ratio=0)
        self.strides = list(strides)

    def forward(
        self, x: dict[str, Tensor], boxes: list[Float[Tensor, "_ 4"]], image_shapes: list[tuple[int, int]]
    ) -> Float[Tensor, "regions channels side side"]:
        """Features of the regions of all images, in their order."""
        maps = [x[level] for level in self.featmap_names]
        regions = torch.cat(boxes)
        image = torch.cat([torch.full_like(each[:, :1], index) for index, each in enumerate(boxes)])
        level = self.level_of(regions)
        pooled = maps[0].new_zeros(len(regions), maps[0].shape[1], *self.output_size)
        for index, (features, stride) in enumerate(zip(maps, self.strides, strict=True)):
            chosen = torch.where(level == index)[0]
            rois = torch.cat([image, regions], dim=1)[chosen].to(features.dtype)
            found = roi_align(features, rois, self.output_size, 1 / stride, self.sampling_ratio, aligned=True)
            pooled[chosen] = found.to(pooled.dtype)
        return pooled

    def level_of(self, regions: Float[Tensor, "regions 4"]) -> Tensor:
        """Index of each region's level: regions of 224 × 224 pixels belong to a stride of 16."""
        width, height = (regions[:, 2:] - regions[:, :2]).unbind(1)
        wanted = self.canonical_level + torch.log2((width * height).sqrt() / self.canonical_scale)
        finest = log2(self.strides[0])
        return ((wanted + 1e-6).floor() - finest).clamp(0, len(self.strides) - 1).long()


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's proposal network, trained by detectron2's losses."""

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: Sequence[Tensor],
        regression_targets: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Losses of the sampled anchors, of objectness and of boxes."""
        positive, negative = (torch.cat(list(each)).bool() for each in self.fg_bg_sampler(labels))
        wanted = self.fg_bg_sampler.batch_size_per_image * len(labels)
        targets = torch.cat(list(regression_targets))
        return proposal_losses(objectness.flatten(), pred_bbox_deltas, targets, positive, negative, wanted)


def proposal_losses(
    objectness: Float[Tensor, " anchors"],
    deltas: Float[Tensor, "anchors 4"],
    targets: Float[Tensor, "anchors 4"],
    positive: Bool[Tensor, " anchors"],
    negative: Bool[Tensor, " anchors"],
    wanted: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of objectness, and L1 of positive anchors' boxes: smooth L1 with β = 0.

    Both are sums over the sampled anchors, divided by `wanted`, the number that should be sampled; torchvision divides
    by the number that was. Source: detectron2/modeling/proposal_generator/rpn.py.
    """
    sampled = positive | negative
    of_objects = F.binary_cross_entropy_with_logits(
        objectness[sampled], positive[sampled].to(objectness.dtype), reduction="sum"
    )
    return of_objects / wanted, F.l1_loss(deltas[positive], targets[positive], reduction="sum") / wanted
