import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import roi_align

from uota.transfer.regions import AlignedPool, Anchors, ProposalNetwork, proposal_losses

STRIDES = [4, 8, 16, 32, 64]


def test_anchors_are_not_rounded_and_follow_the_networks_strides():
    """The coarsest map of an image of 800 × 1216 pixels has 13 × 19 positions, and 800 // 13 is not its stride."""
    sides = [(800 // stride + (800 % stride > 0), 1216 // stride) for stride in STRIDES]
    maps = [torch.zeros(1, 1, *side) for side in sides]
    (found,) = Anchors(STRIDES)(ImageList(torch.zeros(1, 3, 800, 1216), [(800, 1216)]), maps)
    assert len(found) == 3 * sum(high * wide for high, wide in sides)
    of_coarsest = found[-3 * 13 * 19 :].view(13, 19, 3, 4)
    for number, ratio in enumerate((0.5, 1.0, 2.0)):
        wide, high = 512 / math.sqrt(ratio), 512 * math.sqrt(ratio)
        centre = torch.tensor([64.0 * 18, 64 * 12, 64 * 18, 64 * 12])
        wanted = centre + torch.tensor([-wide, -high, wide, high]) / 2
        torch.testing.assert_close(of_coarsest[12, 18, number], wanted)
    assert found[0, 0].item() == pytest.approx(-16 * math.sqrt(2), rel=1e-6)  # torchvision: -23


def test_regions_are_pooled_from_the_level_of_their_size_without_a_shift():
    """Compare with `roi_align` called for each region, with as many samples as a bin has pixels."""
    random = torch.Generator().manual_seed(0)
    maps = {str(level): torch.randn(2, 5, 256 // s, 256 // s, generator=random) for level, s in enumerate(STRIDES[:4])}
    sides = [(20.0, 111), (112, 112), (150, 200), (230, 240), (12, 12), (3, 250)]
    levels = [0, 1, 1, 2, 0, 0]  # floor(4 + log2(√area / 224)) − 2: 224 pixels belong on a stride of 16
    corners = [(1.3, 2.7), (3.0, 4), (40.2, 11), (9, 8.5), (100.1, 101), (50, 1)]
    boxes = torch.tensor([[x, y, x + w, y + h] for (x, y), (w, h) in zip(corners, sides, strict=True)])
    pool = AlignedPool(list(maps), STRIDES[:4], 7)
    assert pool.level_of(boxes).tolist() == levels
    found = pool(maps, [boxes[:4], boxes[4:]], [(256, 256)] * 2)
    for index, (box, level) in enumerate(zip(boxes, levels, strict=True)):
        features, image = maps[str(level)], index // 4
        rois = [box[None]]
        of_image = features[image : image + 1]
        wanted = roi_align(of_image, rois, 7, 1 / STRIDES[level], sampling_ratio=-1, aligned=True)
        torch.testing.assert_close(found[index], wanted[0])
        if index == 2:  # bins of three samples each way
            for other in ({"aligned": False}, {"sampling_ratio": 2, "aligned": True}):
                differs = roi_align(of_image, rois, 7, 1 / STRIDES[level], **other)
                assert not torch.allclose(found[index], differs[0], atol=1e-2)


def test_the_losses_of_proposals_are_divided_by_the_intended_number_of_anchors():
    random = torch.Generator().manual_seed(1)
    scores, deltas, targets = (torch.randn(*size, generator=random).double() for size in ((9,), (9, 4), (9, 4)))
    positive, negative = torch.zeros(2, 9, dtype=torch.bool)
    positive[[1, 4]] = negative[[0, 2, 8]] = True
    of_objects, of_boxes = proposal_losses(scores, deltas, targets, positive, negative, intended=16)
    by_hand = sum(math.log1p(math.exp(-scores[k])) for k in (1, 4)) + sum(
        math.log1p(math.exp(scores[k])) for k in (0, 2, 8)
    )
    assert of_objects.item() == pytest.approx(by_hand / 16, rel=1e-12)
    l1 = sum(abs(float(deltas[k, c] - targets[k, c])) for k in (1, 4) for c in range(4))
    assert of_boxes.item() == pytest.approx(l1 / 16, rel=1e-12)


def test_losses_do_not_grow_when_few_anchors_are_sampled():
    """Two images with 12 anchors in all cannot supply the 256 per image that are to be sampled."""
    network = ProposalNetwork(Anchors(STRIDES), RPNHead(4, 3), 0.7, 0.3, 256, 0.5, {}, {}, 0.7)
    labels = [torch.tensor([1.0, 0, 0, -1, 1, 0]), torch.tensor([0.0, -1, 1, 0, 0, 0])]
    scores, deltas, targets = torch.randn(12, 1), torch.randn(12, 4), torch.randn(12, 4)
    of_objects, of_boxes = network.compute_loss(scores, deltas, labels, targets.split(6))
    every = torch.cat(labels)
    used = every >= 0
    wanted = binary_cross_entropy_with_logits(scores[used, 0], every[used], reduction="sum") / 512
    torch.testing.assert_close(of_objects, wanted)
    torch.testing.assert_close(of_boxes, (deltas - targets)[every == 1].abs().sum() / 512)
