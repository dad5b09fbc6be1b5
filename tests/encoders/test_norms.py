import pytest
import timm
import torch
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.norms import with_layer_norm
from uota.errors import UotaError


@pytest.mark.parametrize("name", ["tiny", "resnet18"])
def test_with_layer_norm_images_are_independent(name):
    torch.manual_seed(0)
    encoder, images = Encoder(name, 1, 32), torch.randn(4, 1, 32, 32)
    assert not torch.allclose(encoder(images)[:2], encoder(images[:2]), atol=1e-3)
    encoder = with_layer_norm(encoder)
    torch.testing.assert_close(encoder(images)[:2], encoder(images[:2]), atol=1e-5, rtol=1e-4)


def test_it_equals_a_layer_norm_over_channels_and_positions():
    norm, x = with_layer_norm(nn.Sequential(nn.BatchNorm2d(6)))[0], torch.randn(3, 6, 5, 5)
    torch.testing.assert_close(norm(x), nn.functional.layer_norm(x, (6, 5, 5)))


def test_fused_norms_are_refused():
    with pytest.raises(UotaError, match="BatchNormAct2d"):
        with_layer_norm(timm.create_model("efficientnet_b0", num_classes=0))
