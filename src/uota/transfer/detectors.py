"""R-CNNs on an encoder: sizes for large and for small images, and detectors with torchvision's heads.

Heads are what torchvision builds by default: two linear layers, no norms, smooth L1 with β = 1/9. Detectors with
published heads are in `uota.transfer.published`.
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
# As wide as torchvision's at a pyramid of 256 channels.
BOX_POOL, MASK_POOL = 7, 14
BOX_WIDTH, KEYPOINT_WIDTH = 4, 2
MASK_LAYERS, KEYPOINT_LAYERS = 4, 8


@dataclass(frozen=True)
class Sizes:
    """What goes with the size of images.

    Attributes:
        short_sides: images are resized to one of them in training, to the last in evaluation.
        long_side: unless the other side became longer than this.
        proposals: of an image, at most.
        rois: of them that are trained on.
    """

    short_sides: tuple[int, ...] = SHORT_SIDES
    long_side: int = LONG_SIDE
    proposals: int = 2000
    rois: int = 512


def sizes_for(pyramid: Pyramid, short_side: int) -> Sizes:
    """The published sizes; for encoders of small images those of the images, in the same proportions.

    Args:
        pyramid: tells by its strides what it is for.
        short_side: of a typical image, in pixels.
    """
    if pyramid.strides[0] >= LARGE:
        return Sizes()
    sides = tuple(sorted({short_side * side // SHORT_SIDES[-1] for side in SHORT_SIDES}))
    return Sizes(sides, short_side * LONG_SIDE // SHORT_SIDES[-1], proposals=100, rois=32)


def torchvision_detector(
    task: Task, pyramid: Pyramid, preset: ViewPreset, categories: int, keypoints: int, sizes: Sizes
) -> Any:
    """Faster, Mask or Keypoint R-CNN as torchvision builds them.

    Args:
        task: decides which.
        pyramid: with the encoder.
        preset: how the encoder's images are normalised.
        categories: without the background.
        keypoints: of an object.
        sizes: from `sizes_for`.
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
    """What all three are told."""
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
