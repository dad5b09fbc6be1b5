"""Computing activations again in the backward pass: the same gradients and statistics, of fewer activations kept."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from uota.encoders.checkpointing import checkpoint_activations
from uota.encoders.encoder import Encoder
from uota.encoders.pretrained import NETWORK
from uota.errors import UotaError

BACKBONES = ["tiny", "resnet18", "resnet50", NETWORK, "vit_tiny_patch16_224"]


def backward(name, again):
    """Return gradients, statistics and the size of what was kept for the backward pass."""
    torch.manual_seed(0)
    network, kept = nn.Sequential(Encoder(name, 3, 64)), []
    if again:
        checkpoint_activations(network)

    def pack(x):
        kept.append(x.numel() if not isinstance(x, nn.Parameter) else 0)
        return x

    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = network(images).square().mean()
    loss.backward()
    gradients = {name: x.grad for name, x in network.named_parameters()}
    return gradients, dict(network.named_buffers()), sum(kept)


@pytest.mark.parametrize("name", BACKBONES)
def test_gradients_and_statistics_are_the_same(name):
    gradients, buffers, kept = backward(name, again=True)
    expected, expected_buffers, all_kept = backward(name, again=False)
    for each, value in expected.items():
        assert_close(gradients[each], value, rtol=1e-4, atol=1e-6)
    for each, value in expected_buffers.items():
        assert_close(buffers[each], value)
    assert kept < 0.7 * all_kept


def test_a_backbone_without_blocks_is_refused():
    network = Encoder("tiny")
    network.backbone.stages = nn.ModuleList([nn.Identity()])
    with pytest.raises(UotaError, match="TinyResNet cannot compute its blocks again"):
        checkpoint_activations(network)
