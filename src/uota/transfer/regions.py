"""detectron2's region proposals and ROIAlign, built from torchvision's.

Published results come from detectron2, which makes choices that torchvision's detectors do not offer: anchors are not
rounded and lie on the network's strides; L1 losses are divided by a fixed number of anchors; ROIAlign does not shift by
half a pixel ("ROIAlignV2") and takes as many samples as a region has pixels.
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
    """Anchors with exact corners, one stride apart and 8 strides wide at aspect ratio 1.

    torchvision rounds their corners to whole pixels, and measures strides on the padded image, which gives 61 instead
    of 64 on the coarsest level of an image of 800 pixels. Source: detectron2/modeling/anchor_generator.py.

    Args:
        strides: strides of the levels, in pixels.
    """

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__(tuple((ANCHOR * stride,) for stride in strides), (RATIOS,) * len(strides))
        self.strides = strides
        ratios = torch.tensor(RATIOS)
        half = torch.stack([ratios.rsqrt(), ratios.sqrt()], dim=1) / 2  # ratios are heights over widths
        self.cell_anchors = [ANCHOR * stride * torch.cat([-half, half], dim=1) for stride in strides]

    def grid_anchors(self, grid_sizes: Any, strides: Any) -> list[Float[Tensor, "_ 4"]]:
        """Place anchors over each level on the network's strides, not on the measured `strides`."""
        return super().grid_anchors(grid_sizes, [(stride, stride) for stride in self.strides])


class AlignedPool(MultiScaleRoIAlign):
    """ROIAlign from the level that suits a region's size (Lin et al. 2017, Feature Pyramid Networks, equation 1).

    `aligned=True` puts pixel centres at half-integer coordinates, and `sampling_ratio=0` takes as many samples in each
    bin as it is pixels wide. Source: detectron2/modeling/poolers.py, ROIAlignV2.

    Args:
        levels: names of the maps.
        strides: strides of the maps, in pixels.
        side: side of the pooled output.
    """

    def __init__(self, levels: list[str], strides: Sequence[int], side: int) -> None:
        super().__init__(levels, side, sampling_ratio=0)
        self.strides = list(strides)

    def forward(
        self, x: dict[str, Tensor], boxes: list[Float[Tensor, "_ 4"]], image_shapes: list[tuple[int, int]]
    ) -> Float[Tensor, "regions channels side side"]:
        """Pool the features of all images' regions, in the order of `boxes`."""
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
        """Return the index of each region's level; a region of 224 × 224 pixels belongs to stride 16."""
        width, height = (regions[:, 2:] - regions[:, :2]).unbind(1)
        wanted = self.canonical_level + torch.log2((width * height).sqrt() / self.canonical_scale)
        finest = log2(self.strides[0])
        return ((wanted + 1e-6).floor() - finest).clamp(0, len(self.strides) - 1).long()


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's region proposal network trained with detectron2's losses."""

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: Sequence[Tensor],
        regression_targets: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of objectness and of boxes on sampled anchors."""
        positive, negative = (torch.cat(list(each)).bool() for each in self.fg_bg_sampler(labels))
        intended = self.fg_bg_sampler.batch_size_per_image * len(labels)
        targets = torch.cat(list(regression_targets))
        return proposal_losses(objectness.flatten(), pred_bbox_deltas, targets, positive, negative, intended)


def proposal_losses(
    objectness: Float[Tensor, " anchors"],
    deltas: Float[Tensor, "anchors 4"],
    targets: Float[Tensor, "anchors 4"],
    positive: Bool[Tensor, " anchors"],
    negative: Bool[Tensor, " anchors"],
    intended: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the cross-entropy of objectness, and the L1 loss (smooth L1 with β = 0) of positive anchors' boxes.

    Both are sums over the sampled anchors, divided by `intended`, the number to be sampled; torchvision divides by the
    number actually sampled. Source: detectron2/modeling/proposal_generator/rpn.py.
    """
    sampled = positive | negative
    of_objects = F.binary_cross_entropy_with_logits(
        objectness[sampled], positive[sampled].to(objectness.dtype), reduction="sum"
    )
    return of_objects / intended, F.l1_loss(deltas[positive], targets[positive], reduction="sum") / intended
