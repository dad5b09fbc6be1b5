import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from uota.encoders.encoder import Encoder
from uota.training.cost import PER_ACTIVATION, _cost, relative_cost


@pytest.mark.parametrize("name", ["tiny", "resnet18"])
def test_operations_are_those_that_torch_counts(name, monkeypatch):
    monkeypatch.setattr("uota.training.cost.PER_ACTIVATION", 0)
    encoder, images = Encoder(name, 3, 64), torch.randn(1, 3, 64, 64)
    with FlopCounterMode(display=False) as counter:
        encoder(images)
    forward, trained = _cost(encoder, images)
    assert forward == trained == counter.get_total_flops()
    assert PER_ACTIVATION > 0


def test_networks_are_in_the_order_of_their_times():
    """On one core, views of 96 pixels: 0.08 of a step of a ResNet-50, 0.26 of a ResNet-18, 0.99 of the smallest."""
    costs = [relative_cost(name, 3, 96, 0) for name in ("resnet50", "resnet18", "mobilenetv3_small_100")]
    assert costs == sorted(costs)
    assert costs[1] < 0.3 < 0.6 < costs[2]


def test_steps_are_shorter_with_frozen_stages():
    all_trained, some, none = (relative_cost("resnet18", 3, 64, stages) for stages in (0, 3, 5))
    assert all_trained < some < none == pytest.approx(3 * all_trained)
