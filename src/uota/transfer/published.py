"""detectron2's R-CNNs, the standard for measuring transfer: batch norm in the pyramid and the heads.

Sources: facebookresearch/detectron2 configs/Base-RCNN-FPN.yaml, Misc/mask_rcnn_R_50_FPN_3x_syncbn.yaml and
COCO-Keypoints/Base-Keypoint-RCNN-FPN.yaml, and HobbitLong/PyContrast pycontrast/detection/configs/R_50_FPN_1x.yaml,
the configuration of InfoMin (Tian et al. 2020) and of papers that compare with it.
"""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from uota.settings.transfer import Task
from uota.transfer.detectors import (
    BOX_POOL,
    BOX_WIDTH,
    KEYPOINT_LAYERS,
    KEYPOINT_WIDTH,
    MASK_POOL,
    Sizes,
)
from uota.transfer.heads import RegionHeads, box_head, box_predictor, mask_head, mask_predictor
from uota.transfer.pyramid import RATIOS, Pyramid
from uota.transfer.regions import AlignedPool, Anchors, ProposalNetwork
from uota.transfer.resizing import Resizing
from uota.views import ViewPreset

# β of the smooth L1 loss of boxes; plain L1 (β = 0) makes keypoints worse (comment in Base-Keypoint-RCNN-FPN.yaml).
BETA: dict[Task, float] = {"detection": 0.0, "segmentation": 0.0, "keypoints": 0.5}
# Proposals per image after non-maximum suppression in training, relative to those of each level before it.
KEPT_SHARE: dict[Task, float] = {"detection": 0.5, "segmentation": 0.5, "keypoints": 0.75}
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SCORE_THRESHOLD, NMS_THRESHOLD, DETECTIONS = 0.05, 0.5, 100


def published_detector(
    task: Task, pyramid: Pyramid, preset: ViewPreset, categories: int, keypoints: int, sizes: Sizes
) -> GeneralizedRCNN:
    """Build Faster, Mask or Keypoint R-CNN as detectron2 does.

    Args:
        task: selects the model.
        pyramid: feature pyramid on the encoder, with batch norm of its own.
        preset: view preset whose mean and deviation normalise images.
        categories: number of categories, without the background.
        keypoints: number of keypoints of an object.
        sizes: result of `sizes_for`.
    """
    heads = RegionHeads(BETA[task], **_boxes(pyramid, categories + 1, sizes))
    if task == "segmentation":
        heads.mask_roi_pool = _pool(pyramid, MASK_POOL)
        heads.mask_head = mask_head(pyramid.out_channels)
        heads.mask_predictor = mask_predictor(pyramid.out_channels, categories + 1)
    if task == "keypoints":
        width = KEYPOINT_WIDTH * pyramid.out_channels
        heads.keypoint_roi_pool = _pool(pyramid, MASK_POOL)
        heads.keypoint_head = KeypointRCNNHeads(pyramid.out_channels, [width] * KEYPOINT_LAYERS)
        heads.keypoint_predictor = KeypointRCNNPredictor(width, keypoints)
    resizing = Resizing(
        sizes.short_sides, sizes.long_side, list(preset.mean), list(preset.std), size_divisible=pyramid.strides[-2]
    )
    return GeneralizedRCNN(pyramid, _proposals(task, pyramid, sizes), heads, resizing)


def reset_scales(encoder: nn.Module) -> None:
    """Set the scales of all batch norms of a randomly initialised encoder to 1; timm zeroes the last of each block.

    Source: detectron2/modeling/backbone/resnet.py.
    """
    for norm in encoder.modules():
        if isinstance(norm, _BatchNorm):
            nn.init.ones_(norm.weight)


def _proposals(task: Task, pyramid: Pyramid, sizes: Sizes) -> nn.Module:
    in_evaluation = sizes.proposals // 2
    return ProposalNetwork(
        Anchors(pyramid.strides),
        RPNHead(pyramid.out_channels, len(RATIOS)),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=sizes.rois // 2,
        positive_fraction=0.5,
        pre_nms_top_n={"training": sizes.proposals, "testing": in_evaluation},
        post_nms_top_n={"training": round(KEPT_SHARE[task] * sizes.proposals), "testing": in_evaluation},
        nms_thresh=0.7,
    )


def _boxes(pyramid: Pyramid, classes: int, sizes: Sizes) -> dict[str, Any]:
    """Return the arguments that the heads of all three models share."""
    channels = pyramid.out_channels
    return {
        "box_roi_pool": _pool(pyramid, BOX_POOL),
        "box_head": box_head(channels, BOX_POOL, BOX_WIDTH * channels),
        "box_predictor": box_predictor(BOX_WIDTH * channels, classes),
        "fg_iou_thresh": 0.5,
        "bg_iou_thresh": 0.5,
        "batch_size_per_image": sizes.rois,
        "positive_fraction": 0.25,
        "bbox_reg_weights": BOX_WEIGHTS,
        "score_thresh": SCORE_THRESHOLD,
        "nms_thresh": NMS_THRESHOLD,
        "detections_per_img": DETECTIONS,
    }


def _pool(pyramid: Pyramid, side: int) -> nn.Module:
    return AlignedPool(pyramid.levels, pyramid.strides[:-1], side)
