import math

import pytest
import torch
from pycocotools import mask as coco
from torch import nn

from uota.transfer import heads
from uota.transfer.heads import box_losses, mask_loss, mask_targets


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_losses_of_boxes_equal_those_computed_by_hand(beta):
    random = torch.Generator().manual_seed(0)
    scores, deltas, targets = (torch.randn(*size, generator=random).double() for size in ((5, 3), (5, 12), (5, 4)))
    labels = torch.tensor([0, 2, 1, 0, 2])
    of_class, of_boxes = box_losses(scores, deltas, labels, targets, beta)
    entropy = (scores.exp().sum(1).log() - scores[range(5), labels]).sum().item()
    assert of_class.item() == pytest.approx(entropy / 5, rel=1e-12)
    total = 0.0
    for region in (1, 2, 4):
        first = 4 * int(labels[region])
        for off in (abs(float(deltas[region, first + c] - targets[region, c])) for c in range(4)):
            total += off * off / 2 / beta if off < beta else off - beta / 2
    assert of_boxes.item() == pytest.approx(total / 5, rel=1e-12)


def test_a_cell_of_a_mask_target_is_true_if_at_least_half_is_covered():
    """A triangle is cropped to boxes of 8 × 4 pixels with 2 × 2 cells, each 4 pixels wide and 2 high."""
    polygon = [2.0, 2.0, 14.0, 2.0, 2.0, 12.0]
    triangle = torch.from_numpy(coco.decode(coco.merge(coco.frPyObjects([polygon], 16, 20))))
    masks = torch.stack([torch.ones_like(triangle), triangle])
    boxes = torch.tensor([[0.0, 0, 20, 16], [4, 2, 12, 6], [8, 6, 16, 10]])
    found = mask_targets(masks, boxes, torch.tensor([0, 1, 1]), 2)
    assert found[0].all()
    for region, (left, top) in ((1, (4, 2)), (2, (8, 6))):
        cut = triangle[top : top + 4, left : left + 8].float()
        assert torch.equal(found[region], cut.view(2, 2, 2, 4).mean((1, 3)) >= 0.5)
    assert 0 < found[1:].float().mean() < 1


def test_the_loss_of_masks_uses_the_true_class_alone():
    logits = torch.randn(3, 3, 4, 4).double()
    masks = [torch.ones(1, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.uint8)]
    targets = [{"labels": torch.tensor([2]), "masks": masks[0]}, {"labels": torch.tensor([1, 2]), "masks": masks[1]}]
    box = torch.tensor([[0.0, 0, 8, 8]]).double()
    loss = mask_loss(logits, [box, box.repeat(2, 1)], [torch.tensor([0]), torch.tensor([1, 0])], targets)
    inside = torch.log1p((-logits[0, 2]).exp())
    outside = torch.log1p(logits[[1, 2], [2, 1]].exp())
    assert loss.item() == pytest.approx((inside.sum() + outside.sum()).item() / 48, rel=1e-12)


def test_layers_and_initial_weights_equal_detectron2s():
    """Compare with FastRCNNConvFCHead (NUM_CONV 4, NUM_FC 1, norms) and MaskRCNNConvUpsampleHead (norms)."""
    torch.manual_seed(0)
    box, mask = heads.box_head(256, 7, 1024), heads.mask_head(256)
    shapes = {name: tuple(each.shape) for name, each in box.named_parameters()}
    layers = {f"{n}.0.weight": (256, 256, 3, 3) for n in range(4)}
    norms = {f"{n}.1.{name}": (256,) for n in range(4) for name in ("weight", "bias")}
    assert shapes == layers | norms | {"5.weight": (1024, 256 * 49), "5.bias": (1024,)}
    assert {name: tuple(each.shape) for name, each in mask.named_parameters()} == layers | norms
    assert all(isinstance(block[1], nn.BatchNorm2d) for block in (*(box[n] for n in range(4)), *mask))
    assert box(torch.randn(2, 256, 7, 7)).min() >= 0
    # He et al. (2015): normal with deviation √(2 / fan-out), and uniform (a = 1) within ±√(3 / fan-in).
    assert box[0][0].weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    assert box[5].weight.abs().max().item() == pytest.approx(math.sqrt(3 / (256 * 49)), rel=0.01)
    scores = heads.box_predictor(1024, 81)
    masks = heads.mask_predictor(256, 81)
    deviations = (scores.cls_score, 0.01), (scores.bbox_pred, 0.001), (masks.mask_fcn_logits, 0.001)
    for layer, deviation in deviations:
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)
    biases = [box[5], scores.cls_score, scores.bbox_pred, masks.mask_fcn_logits, masks.conv5_mask]
    assert all(not layer.bias.any() for layer in biases)
