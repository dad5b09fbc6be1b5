import warnings

import pytest
import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn, keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn

from uota.encoders.encoder import Encoder
from uota.encoders.lab import LabEncoder
from uota.errors import UotaError
from uota.transfer.detectors import Sizes, sizes_for, torchvision_detector
from uota.transfer.pyramid import Pyramid
from uota.views import PRESETS

TORCHVISION = {
    "detection": fasterrcnn_resnet50_fpn,
    "segmentation": maskrcnn_resnet50_fpn,
    "keypoints": keypointrcnn_resnet50_fpn,
}


@pytest.fixture(scope="module")
def resnet50():
    return Encoder("resnet50", 3, 224)


@pytest.mark.parametrize("task", TORCHVISION)
def test_on_resnet50_the_detector_equals_torchvisions(resnet50, task):
    """Layers, numbers of parameters, anchors and sizes equal those that torchvision builds for COCO."""
    pyramid = Pyramid(resnet50, 3, norm=False)
    ours = torchvision_detector(task, pyramid, PRESETS["supervised"], 1 if task == "keypoints" else 90, 17, Sizes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = TORCHVISION[task](weights=None, weights_backbone=None, num_classes=2 if task == "keypoints" else 91)
    for part in ("rpn", "roi_heads"):
        shapes = [{k: v.shape for k, v in getattr(each, part).state_dict().items()} for each in (ours, theirs)]
        assert shapes[0] == shapes[1]
    own, fpn = pyramid.pyramid.state_dict(), theirs.backbone.fpn.state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in fpn.items()}
    assert ours.rpn.anchor_generator.sizes == theirs.rpn.anchor_generator.sizes
    assert ours.rpn._pre_nms_top_n["training"] == theirs.rpn._pre_nms_top_n["training"]
    assert ours.transform.image_mean == theirs.transform.image_mean
    assert (ours.transform.max_size, ours.transform.size_divisible) == (1333, 32)
    assert ours.transform.min_size == ((640, 672, 704, 736, 768, 800))
    body = sum(parameter.numel() for parameter in theirs.backbone.body.parameters())
    assert sum(parameter.numel() for parameter in resnet50.parameters()) == body


@pytest.mark.parametrize(
    ("make", "channels", "strides"),
    [(lambda: Encoder("tiny", 1, 28), 1, [2, 4, 8, 16]), (lambda: Encoder("resnet18", 3, 28), 3, [2, 4, 8, 16]),
     (lambda: Encoder("resnet18", 3, 224), 3, [4, 8, 16, 32, 64]),
     (lambda: LabEncoder("tiny", 3, 28), 3, [2, 4, 8, 16]),
     (lambda: Encoder("convnext_atto", 3, 224), 3, [4, 8, 16, 32, 64])],
)  # fmt: skip
def test_every_encoder_with_maps_of_several_sizes_has_a_pyramid(make, channels, strides):
    encoder = make()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    pyramid = Pyramid(encoder, channels, norm=True)
    assert pyramid.strides == strides
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    maps = pyramid(torch.randn(2, channels, 64, 64))
    assert [tuple(each.shape) for each in maps.values()] == [
        (2, pyramid.out_channels, 64 // s, 64 // s) for s in strides
    ]
    sum(each.sum() for each in maps.values()).backward()
    without_gradient = [name for name, each in pyramid.named_parameters() if each.requires_grad and each.grad is None]
    assert not without_gradient


def test_encoders_without_a_pyramid_are_refused():
    with pytest.raises(UotaError, match="one size only"):
        Pyramid(Encoder("vit_tiny_patch16_224", 3, 224), 3, norm=True)
    with pytest.raises(UotaError, match="any size"):
        Pyramid(Encoder("swin_tiny_patch4_window7_224", 3, 224), 3, norm=True)
    with pytest.raises(UotaError, match="maps"):
        Pyramid(torch.nn.Conv2d(3, 4, 3), 3, norm=True)


def test_small_encoders_get_the_images_own_size_and_the_published_proportions():
    sizes = sizes_for(Pyramid(Encoder("tiny", 1, 28), 1, norm=True), 56)
    assert (sizes.short_sides, sizes.long_side) == ((44, 47, 49, 51, 53, 56), 93)
    assert sizes_for(Pyramid(Encoder("resnet18", 3, 224), 3, norm=True), 56) == Sizes()
