"""detectron2's region heads, built from torchvision's: layers, initial weights and losses."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import (
    RoIHeads,
    keypointrcnn_inference,
    keypointrcnn_loss,
    maskrcnn_inference,
)
from torchvision.ops import roi_align

from uota.transfer.detectors import MASK_LAYERS

BOX_LAYERS = 4
ImageObjects = dict[str, Tensor]  # boxes, labels and so on of one image: its targets or its detections


class RegionHeads(RoIHeads):
    """torchvision's `RoIHeads` (sampling, inference) trained with detectron2's losses.

    Args:
        beta: β of the smooth L1 loss of boxes; see `box_losses`.
        options: arguments of torchvision's `RoIHeads`.
    """

    def __init__(self, beta: float, **options: Any) -> None:
        super().__init__(**options)
        self.beta = beta

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[ImageObjects] | None = None,
    ) -> tuple[list[ImageObjects], dict[str, Tensor]]:
        """Return no detections and the losses in training, each image's detections and no losses in evaluation."""
        if self.training:
            return [], self._losses(features, proposals, image_shapes, targets)
        return self._detect(features, proposals, image_shapes), {}

    def _losses(self, features: dict[str, Tensor], proposals: Any, shapes: Any, targets: Any) -> dict[str, Tensor]:
        boxes, matched, labels, deltas = self.select_training_samples(proposals, targets)
        scores, predicted = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, shapes)))
        of_class, of_boxes = box_losses(scores, predicted, torch.cat(labels), torch.cat(deltas), self.beta)
        losses = {"loss_classifier": of_class, "loss_box_reg": of_boxes}
        positive = [each > 0 for each in labels]
        regions = [each[chosen] for each, chosen in zip(boxes, positive, strict=True)]
        objects = [each[chosen] for each, chosen in zip(matched, positive, strict=True)]
        if self.has_mask():
            logits = self._masks(features, regions, shapes)
            losses["loss_mask"] = mask_loss(logits, regions, objects, targets)
        if self.has_keypoint():
            keypoints = [each["keypoints"] for each in targets]
            logits = self._keypoints(features, regions, shapes)
            losses["loss_keypoint"] = keypointrcnn_loss(logits, regions, keypoints, objects)
        return losses

    def _detect(self, features: dict[str, Tensor], proposals: list[Tensor], shapes: Any) -> list[ImageObjects]:
        scores, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, shapes)))
        boxes, certain, labels = self.postprocess_detections(scores, deltas, proposals, shapes)
        found = [{"boxes": b, "scores": s, "labels": each} for b, s, each in zip(boxes, certain, labels, strict=True)]
        if self.has_mask():
            masks = maskrcnn_inference(self._masks(features, boxes, shapes), labels)
            found = [each | {"masks": mask} for each, mask in zip(found, masks, strict=True)]
        if self.has_keypoint():
            points, _ = keypointrcnn_inference(self._keypoints(features, boxes, shapes), boxes)
            found = [each | {"keypoints": of_image} for each, of_image in zip(found, points, strict=True)]
        return found

    def _masks(self, features: dict[str, Tensor], boxes: list[Tensor], shapes: Any) -> Tensor:
        return self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, shapes)))

    def _keypoints(self, features: dict[str, Tensor], boxes: list[Tensor], shapes: Any) -> Tensor:
        return self.keypoint_predictor(self.keypoint_head(self.keypoint_roi_pool(features, boxes, shapes)))


def box_losses(
    scores: Float[Tensor, "regions classes"],
    deltas: Float[Tensor, "regions coordinates"],
    labels: Int64[Tensor, " regions"],
    targets: Float[Tensor, "regions 4"],
    beta: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the mean cross-entropy of classes, and the smooth L1 of the true class's boxes over the number of regions.

    The loss of boxes is quadratic below β and linear above it: β = 0 gives L1; torchvision's detectors use 1/9. Label 0
    is the background, which has no box. Source: detectron2/modeling/roi_heads/fast_rcnn.py.
    """
    objects = torch.where(labels > 0)[0]
    of_class = deltas.view(len(labels), -1, 4)[objects, labels[objects]]
    of_boxes = F.smooth_l1_loss(of_class, targets[objects], beta=beta, reduction="sum")
    return F.cross_entropy(scores, labels), of_boxes / len(labels)


def mask_loss(
    logits: Float[Tensor, "regions classes side side"],
    regions: list[Float[Tensor, "_ 4"]],
    objects: list[Int64[Tensor, " _"]],
    targets: list[ImageObjects],
) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy of the mask of the true class.

    Args:
        logits: mask logits of the regions of all images.
        regions: boxes of the regions, one tensor per image.
        objects: index of each region's object among those of its image.
        targets: labels and masks of each image's objects.
    """
    labels = torch.cat([target["labels"][which] for target, which in zip(targets, objects, strict=True)])
    side = logits.shape[-1]
    wanted = [
        mask_targets(target["masks"], boxes, which, side)
        for target, boxes, which in zip(targets, regions, objects, strict=True)
    ]
    of_class = logits[torch.arange(len(labels), device=labels.device), labels]
    return F.binary_cross_entropy_with_logits(of_class, torch.cat(wanted).to(logits.dtype))


def mask_targets(
    masks: UInt8[Tensor, "objects height width"],
    boxes: Float[Tensor, "regions 4"],
    objects: Int64[Tensor, " regions"],
    side: int,
) -> Bool[Tensor, "regions side side"]:
    """Crop masks to regions: a cell is true if the mask covers at least half of it.

    torchvision's detectors are trained on the covered share itself. Source: detectron2/structures/masks.py, BitMasks.
    """
    rois = torch.cat([objects[:, None].to(boxes.dtype), boxes], dim=1)
    covered = roi_align(masks[:, None].to(boxes.dtype), rois, side, sampling_ratio=0, aligned=True)
    return covered[:, 0] >= 0.5


def box_head(channels: int, side: int, width: int) -> nn.Module:
    """Build four convolutions with batch norm and a linear layer, initialised as in detectron2's box_head.py."""
    head = FastRCNNConvFCHead((channels, side, side), [channels] * BOX_LAYERS, [width], norm_layer=nn.BatchNorm2d)
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
    return head


def box_predictor(width: int, classes: int) -> nn.Module:
    """Build the layers for the score and the box of each class, initialised as in detectron2's fast_rcnn.py."""
    predictor = FastRCNNPredictor(width, classes)
    for layer, deviation in ((predictor.cls_score, 0.01), (predictor.bbox_pred, 0.001)):
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.zeros_(layer.bias)
    return predictor


def mask_head(channels: int) -> nn.Module:
    """Build four convolutions with batch norm."""
    return MaskRCNNHeads(channels, [channels] * MASK_LAYERS, 1, norm_layer=nn.BatchNorm2d)


def mask_predictor(channels: int, classes: int) -> nn.Module:
    """Build the layers for a mask of each class, initialised as in detectron2's mask_head.py."""
    predictor = MaskRCNNPredictor(channels, channels, classes)
    nn.init.zeros_(predictor.conv5_mask.bias)
    nn.init.normal_(predictor.mask_fcn_logits.weight, std=0.001)
    nn.init.zeros_(predictor.mask_fcn_logits.bias)
    return predictor
