"""R-CNNs with torchvision's heads on an encoder, and image sizes for encoders of large and of small images.

The heads are those that torchvision builds by default: two linear layers, no norms, smooth L1 with β = 1/9. Detectors
with detectron2's heads are in `uota.transfer.published`.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from uota.settings.transfer import Task
from uota.transfer.pyramid import ANCHOR, LARGE, RATIOS, Pyramid
from uota.views import ViewPreset

SHORT_SIDES, LONG_SIDE = (640, 672, 704, 736, 768, 800), 1333
# Sides of pooled regions, and widths in multiples of the pyramid's channels: torchvision's values at 256 channels.
BOX_POOL, MASK_POOL = 7, 14
BOX_WIDTH, KEYPOINT_WIDTH = 4, 2
MASK_LAYERS, KEYPOINT_LAYERS = 4, 8


@dataclass(frozen=True)
class Sizes:
    """Settings that depend on the size of the images.

    Attributes:
        short_sides: lengths of the short side that training draws from; evaluation uses the last.
        long_side: upper limit of the long side after resizing.
        proposals: region proposals per image before non-maximum suppression in training; evaluation uses half of them.
        rois: regions per image on which the heads are trained.
    """

    short_sides: tuple[int, ...] = SHORT_SIDES
    long_side: int = LONG_SIDE
    proposals: int = 2000
    rois: int = 512


def sizes_for(pyramid: Pyramid, short_side: int) -> Sizes:
    """Return the published sizes; for encoders of small images, the images' own sizes in the same proportions.

    Args:
        pyramid: the feature pyramid, whose strides show which images the encoder is for.
        short_side: short side of a typical image, in pixels.
    """
    if pyramid.strides[0] >= LARGE:
        return Sizes()
    sides = tuple(sorted({short_side * side // SHORT_SIDES[-1] for side in SHORT_SIDES}))
    return Sizes(sides, short_side * LONG_SIDE // SHORT_SIDES[-1], proposals=100, rois=32)


def torchvision_detector(
    task: Task, pyramid: Pyramid, preset: ViewPreset, categories: int, keypoints: int, sizes: Sizes
) -> Any:
    """Build Faster, Mask or Keypoint R-CNN as torchvision does.

    Args:
        task: selects the model.
        pyramid: feature pyramid on the encoder.
        preset: view preset whose mean and deviation normalise images.
        categories: number of categories, without the background.
        keypoints: number of keypoints of an object.
        sizes: result of `sizes_for`.
    """
    wide = pyramid.out_channels
    common = _common(pyramid, preset, categories, sizes)
    if task == "segmentation":
        head = MaskRCNNHeads(wide, [wide] * MASK_LAYERS, 1)
        predictor = MaskRCNNPredictor(wide, wide, categories + 1)
        masks = {"mask_roi_pool": _pool(pyramid, MASK_POOL), "mask_head": head, "mask_predictor": predictor}
        return MaskRCNN(pyramid, **common | masks)
    if task == "keypoints":
        head = KeypointRCNNHeads(wide, [KEYPOINT_WIDTH * wide] * KEYPOINT_LAYERS)
        predictor = KeypointRCNNPredictor(KEYPOINT_WIDTH * wide, keypoints)
        points = {"keypoint_roi_pool": _pool(pyramid, MASK_POOL), "keypoint_head": head}
        return KeypointRCNN(pyramid, **common | points | {"keypoint_predictor": predictor})
    return FasterRCNN(pyramid, **common)


def _common(pyramid: Pyramid, preset: ViewPreset, categories: int, sizes: Sizes) -> dict[str, Any]:
    """Return the arguments that all three models share."""
    wide = pyramid.out_channels
    return {
        "image_mean": list(preset.mean),
        "image_std": list(preset.std),
        "min_size": sizes.short_sides,
        "max_size": sizes.long_side,
        "size_divisible": pyramid.strides[-2],
        "rpn_anchor_generator": _anchors(pyramid),
        "rpn_pre_nms_top_n_train": sizes.proposals,
        "rpn_post_nms_top_n_train": sizes.proposals,
        "rpn_pre_nms_top_n_test": sizes.proposals // 2,
        "rpn_post_nms_top_n_test": sizes.proposals // 2,
        "rpn_batch_size_per_image": sizes.rois // 2,
        "box_batch_size_per_image": sizes.rois,
        "box_roi_pool": _pool(pyramid, BOX_POOL),
        "box_head": TwoMLPHead(wide * BOX_POOL**2, BOX_WIDTH * wide),
        "box_predictor": FastRCNNPredictor(BOX_WIDTH * wide, categories + 1),
    }


def _anchors(pyramid: Pyramid) -> nn.Module:
    return AnchorGenerator(tuple((ANCHOR * stride,) for stride in pyramid.strides), (RATIOS,) * len(pyramid.strides))


def _pool(pyramid: Pyramid, side: int) -> nn.Module:
    return MultiScaleRoIAlign(pyramid.levels, side, sampling_ratio=2)
