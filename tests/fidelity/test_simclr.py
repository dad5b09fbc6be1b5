"""SimCLR compared for 30 steps with the released algorithm (google-research/simclr, its first version).

Published values are constants here; ours come from the recipe. Only widths, the warm-up, the batch and the learning
rate are smaller: with the rate of 4,096 images and a batch of 8, rounding errors grow a millionfold in 30 steps.
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
# run.py: the learning rate for 256 images, which is linear in the batch size.
RATE, DECAY, TEMPERATURE = 0.3 * BATCH / 256, 1e-6, 0.1
SMALL = {"hidden": 24, "dim": 12}


def rate(step):
    """Return the learning rate of a step (model_util.py, learning_rate_schedule)."""
    if step < WARMUP:
        return RATE * step / WARMUP
    return RATE * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def contrastive_loss(hidden):
    """Compute the loss of the rows of the first view, then of the second (objective.py, add_contrastive_loss)."""
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


def test_networks_are_initialised_as_published(method):
    """The last norm of each block has scale 0 (resnet.py); weights of the head are from N(0, 0.01²) (model_util.py)."""
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


def test_lengths_and_widths_are_as_published():
    """The warm-up is ten epochs of the 1,281,167 images of ImageNet (model_util.py)."""
    settings = recipe("simclr_imagenet")
    assert {"hidden": 2048, "dim": 128}.items() <= settings.method.options.items()
    assert (settings.optimization.epochs, settings.optimization.batch_size) == (1000, 4096)
    assert settings.optimization.warmup_steps == 10 * 1281167 // 4096
