"""SimCLR for 30 steps beside the released code's algorithm (google-research/simclr, its first version).

Published values are written here; ours come from the recipe. Only widths, the warm-up and the batch are smaller, and
the rate with the batch: at that of 4,096 images, with 8, rounding grows a millionfold in 30 steps.
"""

import math
from copy import deepcopy

import pytest
import torch
from tests.fidelity.driver import BATCH, STEPS, assert_same, batches, shortened, train
from tests.fidelity.optimisers import lars_of_simclr
from torch.nn.functional import cross_entropy, normalize

from uota.encoders.encoder import TinyResNet
from uota.methods.build import build_method
from uota.recipes import recipe

WARMUP = 6
# run.py: the rate for 256 images, linear in the batch.
RATE, DECAY, TEMPERATURE = 0.3 * BATCH / 256, 1e-6, 0.1
SMALL = {"hidden": 24, "dim": 12}


def rate(step):
    """model_util.py, learning_rate_schedule."""
    if step < WARMUP:
        return RATE * step / WARMUP
    return RATE * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def contrastive_loss(hidden):
    """objective.py, add_contrastive_loss, of both views' rows, the first view's first."""
    one, two = normalize(hidden, dim=-1).chunk(2)
    labels, itself = torch.arange(BATCH), 1e9 * torch.eye(BATCH, dtype=hidden.dtype)

    def direction(anchor, other):
        logits = [anchor @ other.T / TEMPERATURE, anchor @ anchor.T / TEMPERATURE - itself]
        return cross_entropy(torch.cat(logits, 1), labels)

    return direction(one, two) + direction(two, one)


@pytest.fixture
def method():
    settings = shortened("simclr_imagenet", epochs=15, backbone="tiny", warmup_steps=WARMUP)
    rate_of_batch = settings.optimization.learning_rate * BATCH / recipe("simclr_imagenet").optimization.batch_size
    settings = settings.replace_flat(method_options=settings.method.options | SMALL, learning_rate=rate_of_batch)
    return build_method(settings).double(), settings


def test_simclr_trains_as_published(method, tmp_path):
    method, settings = method
    network, losses, data = deepcopy(method).train(), [], batches([(2, 8)])
    recorder = train(method, settings, data, tmp_path)
    update = lars_of_simclr(network.parameters(), DECAY)
    for number, views in enumerate(data):
        loss = contrastive_loss(network.projector(network.encoder(views.by_size[0].flatten(0, 1))))
        network.zero_grad()
        loss.backward()
        update(rate(number))
        losses.append(float(loss.detach()))
    assert recorder.losses == pytest.approx(losses, abs=1e-9)
    assert not method.projector.layers[-1].bias.any()
    assert_same(method, {name: value for name, value in network.state_dict().items() if value.is_floating_point()})


def test_networks_start_as_published(method):
    """The last norm of a block scales by 0 (resnet.py); the head's weights are of N(0, 0.01²) (model_util.py)."""
    method, _ = method
    assert isinstance(method.encoder.backbone, TinyResNet)
    assert all(not block.bn2.weight.any() for block in method.encoder.backbone.stages)
    linear, norm, _, last, last_norm = method.projector.layers
    assert linear.bias is None
    assert last.bias is None
    drawn = torch.cat([linear.weight.flatten(), last.weight.flatten()])
    assert float(drawn.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert norm.bias.requires_grad
    assert norm.weight.requires_grad
    assert last_norm.weight.requires_grad
    assert not last_norm.bias.requires_grad
    assert not last_norm.bias.any()


def test_lengths_and_widths_are_the_published():
    """Ten epochs of ImageNet's 1,281,167 images are the warm-up (model_util.py)."""
    settings = recipe("simclr_imagenet")
    assert {"hidden": 2048, "dim": 128}.items() <= settings.method.options.items()
    assert (settings.optimization.epochs, settings.optimization.batch_size) == (1000, 4096)
    assert settings.optimization.warmup_steps == 10 * 1281167 // 4096
