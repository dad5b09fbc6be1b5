"""What of an encoder is frozen: weights of its first stages, and statistics of batch norms."""

from copy import deepcopy

import pytest
import torch

from uota.encoders.encoder import Encoder
from uota.errors import UotaError


def parts(encoder, stages, norms=False):
    encoder.freeze(stages, norms)
    return {name for name, each in encoder.backbone.named_parameters() if not each.requires_grad}


@pytest.mark.parametrize(
    ("name", "stages", "frozen", "free"),
    [
        ("tiny", 2, ("stem.", "stages.0.", "stages.1."), ("stages.2.", "stages.3.")),
        ("resnet18", 1, ("conv1.", "bn1."), ("layer1.", "layer4.")),
        ("resnet18", 3, ("conv1.", "bn1.", "layer1.", "layer2."), ("layer3.", "layer4.")),
        ("tf_efficientnet_lite0", 3, ("conv_stem.", "bn1.", "blocks.0.", "blocks.2."), ("blocks.3.", "conv_head.")),
        ("vit_tiny_patch16_224", 2, ("cls_token", "pos_embed", "patch_embed.", "blocks.1."), ("blocks.2.", "norm.")),
    ],
)
def test_the_first_stages_are_frozen(name, stages, frozen, free):
    encoder = Encoder(name)
    found = parts(encoder, stages)
    assert all(any(each.startswith(prefix) for each in found) for prefix in frozen)
    assert not any(each.startswith(free) for each in found)


@pytest.mark.parametrize(("stages", "norms"), [(2, False), (0, True), (0, False)])
def test_statistics_of_frozen_norms_stay_in_training_and_in_copies(stages, norms):
    encoder = Encoder("tiny")
    encoder.freeze(stages, norms)
    copy = deepcopy(encoder).train()
    before = {name: value.clone() for name, value in copy.backbone.named_buffers()}
    copy(torch.randn(4, 3, 16, 16))
    changed = {name for name, value in copy.backbone.named_buffers() if not torch.equal(value, before[name])}
    assert any(name.startswith("stages.3") for name in changed) == (not norms)
    assert any(name.startswith("stem") for name in changed) == (not norms and not stages)


def test_more_stages_than_there_are_are_refused():
    with pytest.raises(UotaError, match="the backbone has 4 stages"):
        Encoder("tiny").freeze(5, False)
