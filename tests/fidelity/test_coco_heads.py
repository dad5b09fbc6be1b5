"""The published heads of `uota transfer` compared with detectron2's configurations and reimplemented arithmetic."""

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from uota.encoders.encoder import Encoder
from uota.settings.transfer import DROPS, SCHEDULES, WARMUP, Transfer, learning_rate
from uota.transfer import precise_norms, published
from uota.transfer.annotations import Annotations
from uota.transfer.detectors import Sizes
from uota.transfer.images import TrainingImages
from uota.transfer.module import Detection, parameter_groups
from uota.transfer.published import published_detector
from uota.transfer.pyramid import Pyramid
from uota.transfer.resizing import Resizing
from uota.views import PRESETS

ROWS = Path(__file__).parents[2] / "docs/published"
NO_IMAGES = Annotations.__new__(Annotations)
NORMS = {True: "SyncBN", False: "none"}


def rows(task):
    content = yaml.safe_load((ROWS / f"coco-{task}.yaml").read_text(encoding="utf-8"))
    return {row["setting"]: row for row in content}


@pytest.fixture(scope="module")
def detectors():
    pyramid = Pyramid(Encoder("resnet50", 3, 224), 3, norm=True)
    made = {}
    for task in ("detection", "segmentation", "keypoints"):
        categories = 1 if task == "keypoints" else 80
        made[task] = published_detector(task, pyramid, PRESETS["supervised"], categories, 17, Sizes())
    return made


def has_norms(module):
    return NORMS[any(isinstance(each, _BatchNorm) for each in module.modules())]


def convolutions(module):
    return [each.out_channels for each in module.modules() if isinstance(each, nn.Conv2d)]


def linear(module):
    return [each.out_features for each in module.modules() if isinstance(each, nn.Linear)]


def deviation(layer):
    return round(layer.weight.std().item(), 4)


def of_training(detector):
    """Return the settings of the optimiser and the schedules."""
    settings = Transfer()
    groups = parameter_groups(detector, settings)
    decays = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    kinds = {"weights": set(), "biases": set(), "norms": set()}
    for module in detector.modules():
        for name, each in module.named_parameters(recurse=False):
            kind = "norms" if isinstance(module, _BatchNorm) else {"weight": "weights", "bias": "biases"}[name]
            kinds[kind].add(decays[id(each)])
    optimiser = Detection(detector, None, settings, 16, 90_000, NO_IMAGES).configure_optimizers()
    group = optimiser.param_groups[0]
    found = {f"weight decay of {kind}": values.pop() for kind, values in kinds.items() if len(values) == 1}
    for schedule, steps in SCHEDULES.items():
        assert settings.total_steps(7329, 16) == 90_000
        rates = [learning_rate(step, steps, 1.0) for step in range(WARMUP, steps)]
        drops = [step + WARMUP + 1 for step in range(len(rates) - 1) if rates[step + 1] < rates[step]]
        found |= {f"steps, {schedule}": steps, f"drops of the rate, {schedule}": drops}
        found["rate after a drop, share of before"] = round(rates[drops[0] - WARMUP] / rates[0], 9)
    assert all(learning_rate(step, 90_000, 1.0) < 1 for step in range(WARMUP))
    return found | {
        "batch size": settings.batch_size,
        "learning rate": settings.learning_rate,
        "momentum": group["momentum"],
        "Nesterov momentum": group["nesterov"],
        "warm-up steps": WARMUP,
        "rate at the first step, share of the top": learning_rate(0, 90_000, 1.0),
        "batches that moments of norms are measured on": precise_norms.BATCHES,
        "layers that learn": "all" if all(each.requires_grad for each in detector.parameters()) else "some",
    }


def of_images(detector):
    resizing = detector.transform
    assert type(resizing) is Resizing
    assert "< 0.5" in inspect.getsource(TrainingImages.__getitem__)
    return {
        "short sides in training": list(resizing.min_size),
        "short side in evaluation": resizing.min_size[-1],
        "long side at most": resizing.max_size,
        "mean of pixels": [round(255 * each, 3) for each in resizing.image_mean],
        "deviation of pixels": [round(255 * each, 3) for each in resizing.image_std],
    }


def of_proposals(rpn):
    anchors = rpn.anchor_generator
    cells = torch.stack(anchors.cell_anchors)
    sides = cells[..., 2:] - cells[..., :2]
    return {
        "sides of anchors": [round(each) for each in sides.prod(-1).sqrt()[:, 0].tolist()],
        "ratios of anchors": [round(each, 6) for each in (sides[0, :, 1] / sides[0, :, 0]).tolist()],
        "corners of anchors rounded": torch.equal(cells, cells.round()),
        "strides of anchors": list(anchors.strides),
        "anchors: overlap of objects, of background": [
            rpn.proposal_matcher.high_threshold,
            rpn.proposal_matcher.low_threshold,
        ],
        "anchors sampled per image": rpn.fg_bg_sampler.batch_size_per_image,
        "share of objects among them": rpn.fg_bg_sampler.positive_fraction,
        "proposals before suppression in training, each level": rpn._pre_nms_top_n["training"],
        "proposals before suppression in evaluation, each level": rpn._pre_nms_top_n["testing"],
        "proposals after suppression in training": rpn._post_nms_top_n["training"],
        "proposals after suppression in evaluation": rpn._post_nms_top_n["testing"],
        "overlap of suppressed proposals": rpn.nms_thresh,
        "weights of anchors' coordinates": list(rpn.box_coder.weights),
    }


def of_regions(heads):
    head, predictor = heads.box_head, heads.box_predictor
    return {
        "regions sampled per image": heads.fg_bg_sampler.batch_size_per_image,
        "share of objects among regions": heads.fg_bg_sampler.positive_fraction,
        "regions: overlap of objects": heads.proposal_matcher.high_threshold,
        "ROIAlign, side for boxes": heads.box_roi_pool.output_size[0],
        "ROIAlign, sampling ratio": heads.box_roi_pool.sampling_ratio,
        "box head, convolutions": len(convolutions(head)),
        "box head, channels": convolutions(head)[0],
        "box head, linear layers": len(linear(head)),
        "box head, width": linear(head)[0],
        "norms of the box head": has_norms(head),
        "weights of regions' coordinates": list(heads.box_coder.weights),
        "boxes of each class": predictor.bbox_pred.out_features == 4 * predictor.cls_score.out_features,
        "initial weights of scores, deviation": round(deviation(predictor.cls_score), 3),
        "initial weights of boxes, deviation": deviation(predictor.bbox_pred),
        "smooth L1 of boxes, β": heads.beta,
        "score of a detection at least": heads.score_thresh,
        "overlap of suppressed detections": heads.nms_thresh,
        "detections per image": heads.detections_per_img,
    }


def of_backbone(pyramid):
    strides = {name.split(".")[-1]: each.stride for name, each in pyramid.encoder.named_modules() if "layer2.0" in name
               and isinstance(each, nn.Conv2d)}  # fmt: skip
    return {
        "stride of a bottleneck": "in its 3 × 3 convolution" if strides["conv2"] == (2, 2) else "elsewhere",
        "norms of the encoder": has_norms(pyramid.encoder),
        "norms of the pyramid": has_norms(pyramid.pyramid),
        "channels of the pyramid": pyramid.out_channels,
    }


def test_the_table_of_detection_matches_the_detector(detectors):
    detector = detectors["detection"]
    found = of_training(detector) | of_images(detector) | of_proposals(detector.rpn)
    found |= of_regions(detector.roi_heads) | of_backbone(detector.backbone)
    table = rows("detection")
    assert found == {name: table[name]["ours"] for name in found}


def test_the_table_of_segmentation_matches_the_detector(detectors):
    heads, table = detectors["segmentation"].roi_heads, rows("segmentation")
    masks = heads.mask_predictor(heads.mask_head(torch.zeros(1, 256, 14, 14)))
    found = {
        "ROIAlign, side for masks": heads.mask_roi_pool.output_size[0],
        "mask head, convolutions": len(convolutions(heads.mask_head)),
        "mask head, channels": convolutions(heads.mask_head)[0],
        "norms of the mask head": has_norms(heads.mask_head),
        "masks of each class": masks.shape[1] == 81,
        "side of a mask": masks.shape[-1],
        "initial weights of masks, deviation": deviation(heads.mask_predictor.mask_fcn_logits),
    }
    assert found == {name: table[name]["ours"] for name in found}
    assert of_regions(heads)["smooth L1 of boxes, β"] == 0


def test_the_table_of_keypoints_matches_the_detector(detectors):
    detector, table = detectors["keypoints"], rows("keypoints")
    heads = detector.roi_heads
    with torch.no_grad():
        maps = heads.keypoint_predictor(heads.keypoint_head(torch.zeros(1, 256, 14, 14)))
    found = {
        "proposals after suppression in training": of_proposals(detector.rpn)[
            "proposals after suppression in training"
        ],
        "smooth L1 of boxes, β": heads.beta,
        "ROIAlign, side for keypoints": heads.keypoint_roi_pool.output_size[0],
        "keypoint head, convolutions": convolutions(heads.keypoint_head),
        "norms of the keypoint head": has_norms(heads.keypoint_head),
        "side of a heat map": maps.shape[-1],
        "centre of a pixel": Transfer().pixel_centre,
        "norms of encoder, pyramid and box head": has_norms(heads.box_head),
    }
    assert found == {name: table[name]["ours"] for name in found}
    assert maps.shape[1] == 17


def test_every_difference_from_the_publication_has_a_note():
    for task in ("detection", "segmentation", "keypoints"):
        table = rows(task)
        assert len(table) == len(yaml.safe_load((ROWS / f"coco-{task}.yaml").read_text(encoding="utf-8")))
        for row in table.values():
            assert {"setting", "published", "ours", "where"} <= set(row)
            assert row["published"] == row["ours"] or row["note"], row


def test_thirty_steps_equal_momentum_sgd_with_decayed_biases():
    """Warm-up, both decays and three kinds of parameters are compared with explicit arithmetic in float64."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 1)).double()
    settings, total = Transfer(learning_rate=0.05, weight_decay=0.3, batch_size=4), 30
    module = Detection(network, None, settings, 4, total, NO_IMAGES)
    optimiser = module.configure_optimizers()
    assert module.top == 0.05 * 4 / 16
    mine = {name: each.detach().clone() for name, each in network.named_parameters()}
    speed = {name: torch.zeros_like(each) for name, each in mine.items()}
    for step in range(total):
        optimiser.zero_grad()
        network(torch.randn(4, 2, 2, 2).double()).square().mean().backward()
        gradients = {name: each.grad.clone() for name, each in network.named_parameters()}
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, total, module.top)
        optimiser.step()
        rate = 0.0125 * (0.001 + 0.999 * step / 3 if step < 3 else 0.1 ** sum(step >= drop for drop in (20, 27)))
        for name in mine:
            decay = 0.0 if name.startswith("1.") else 0.3  # the second layer is batch norm
            speed[name] = 0.9 * speed[name] + gradients[name] + decay * mine[name]
            mine[name] = mine[name] - rate * speed[name]
    for name, each in network.named_parameters():
        torch.testing.assert_close(each.detach(), mine[name], rtol=1e-9, atol=1e-12)


def test_decays_and_losses_are_as_configured():
    assert [round(drop * 90_000) for drop in DROPS] == [60_000, 80_000]
    assert published.BETA == {"detection": 0.0, "segmentation": 0.0, "keypoints": 0.5}


def test_random_encoders_are_initialised_as_by_detectron2():
    encoder = Encoder("resnet18", 3, 224)
    scales = [norm.weight for norm in encoder.modules() if isinstance(norm, _BatchNorm)]
    assert any(not scale.any() for scale in scales)  # timm's initialisation
    published.reset_scales(encoder)
    assert all(bool((scale == rows("detection")["random encoder: γ of the last norm of a block"]["ours"]).all())
               for scale in scales)  # fmt: skip


def test_torchvisions_heads_decay_neither_biases_nor_norms():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    of_both = [
        [len(group["params"]) for group in parameter_groups(network, Transfer(heads=heads))]
        for heads in ("published", "torchvision")
    ]
    assert of_both == [[2, 2], [1, 3]]
