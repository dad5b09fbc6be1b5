import pytest
import torch
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.eyes import DEPTHS, FrozenFeatures

HALF = (0.5,) * 3


def test_features_of_each_depth_are_means_of_the_networks_own_maps():
    encoder = Encoder("resnet18")
    images = torch.rand(2, 3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    views = (images - 0.4) / 0.2
    found = FrozenFeatures(encoder, HALF, HALF, (0.4,) * 3, (0.2,) * 3)([views])
    with torch.no_grad():
        flat = ((images - 0.5) / 0.5).flatten(0, 1)
        maps = encoder.maps(flat)
        expected = {"output": encoder(flat), "last": maps[-1].mean((2, 3)), "before": maps[-2].mean((2, 3))}
    assert tuple(found) == DEPTHS
    for name, features in expected.items():
        torch.testing.assert_close(found[name], features.unflatten(0, (2, 3)), rtol=1e-3, atol=1e-4)


def test_grey_and_small_views_are_repeated_and_enlarged():
    eyes = FrozenFeatures(Encoder("resnet18"), HALF, HALF, (0.3,), (0.3,))
    found = eyes([torch.randn(2, 3, 1, 24, 24), torch.randn(4, 3, 1, 16, 16)])
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "output": (6, 3, 512),
        "last": (6, 3, 512),
        "before": (6, 3, 256),
    }


def test_a_vision_transformer_sees_sides_that_are_multiples_of_its_patch():
    eyes = FrozenFeatures(Encoder("vit_tiny_patch16_224"), HALF, HALF, HALF, HALF)
    assert eyes([torch.randn(1, 2, 3, 100, 70)])["output"].shape == (1, 2, 192)


def test_the_encoder_is_neither_saved_nor_trained_but_follows_the_module():
    encoder = Encoder("resnet18")
    module = nn.ModuleDict({"eyes": FrozenFeatures(encoder, HALF, HALF, HALF, HALF)}).train()
    assert not module.state_dict()
    assert not list(module.parameters())
    assert not encoder.training
    module.double()
    assert next(encoder.parameters()).dtype == torch.float64


@pytest.mark.parametrize("size", [64, 96])
def test_sizes_are_looked_at_one_after_the_other(size):
    eyes = FrozenFeatures(Encoder("resnet18"), HALF, HALF, HALF, HALF)
    views = [torch.randn(1, 2, 3, size, size), torch.randn(2, 2, 3, 64, 64)]
    together, apart = eyes(views), [eyes([each]) for each in views]
    for name in DEPTHS:
        torch.testing.assert_close(together[name], torch.cat([each[name] for each in apart]))
