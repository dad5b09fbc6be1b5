import pytest
import torch
from torch import nn

from uota.nn.encoder import Encoder
from uota.nn.momentum import MomentumCopy


def make(parts=1):
    torch.manual_seed(0)
    encoder, projector = Encoder("tiny", 1, 28), nn.Linear(128, 4)
    return encoder, projector, MomentumCopy(encoder, projector, parts)


def test_it_follows_by_hand_computed_steps():
    encoder, projector, copy = make()
    start = projector.weight.detach().clone()
    with torch.no_grad():
        projector.weight.add_(1)
        encoder.backbone.stem[0].weight.mul_(3)
    before = copy.encoder.backbone.stem[0].weight.clone()
    for _ in range(2):
        copy.follow(encoder, projector, 0.9)
    torch.testing.assert_close(copy.projector.weight, start + 1 - 0.81)
    torch.testing.assert_close(copy.encoder.backbone.stem[0].weight, before * (0.81 + 0.19 * 3))


def test_it_learns_nothing_and_makes_nothing_that_does():
    encoder, _, copy = make()
    assert not any(p.requires_grad for p in copy.parameters())
    assert not copy(torch.randn(2, 4, 1, 16, 16)).requires_grad
    assert all(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("parts", [1, 2])
def test_parts_have_batch_statistics_of_their_own(parts):
    encoder, projector, copy = make(parts)
    views = torch.randn(2, 6, 1, 16, 16)
    found = copy(views)
    for part in range(parts):
        alone = views[:, part::parts].flatten(0, 1)
        expected = projector(encoder(alone)).unflatten(0, (2, 6 // parts))
        torch.testing.assert_close(found[:, part::parts], expected.detach())
    assert parts == 1 or not torch.allclose(found, make()[2](views))
