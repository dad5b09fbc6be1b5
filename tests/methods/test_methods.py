import pytest
import torch
from lightly.loss import NTXentLoss, SwaVLoss

from uota.methods import SimCLR, SwAV
from uota.methods.embedded import Embedded
from uota.nn.encoder import Encoder

VIEWS, BATCH, DIM = 4, 8, 16


def make(cls, **options):
    torch.manual_seed(0)
    return cls(Encoder("tiny", 1, 28), hidden=32, dim=DIM, **options)


def embedded(z):
    return Embedded(z, z, [])


def unit(views=VIEWS, seed=0):
    z = torch.randn(views, BATCH, DIM, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(z, dim=-1)


def swav(**options):
    return make(SwAV, **({"prototypes": 12, "frozen_steps": 0} | options))


def test_swav_equals_lightlys_loss():
    method, z = swav(), unit()
    logits = z @ torch.nn.functional.normalize(method.prototypes, dim=-1).T
    expected = SwaVLoss()(list(logits[:2]), list(logits[2:])).squeeze()
    torch.testing.assert_close(method.loss(embedded(z), torch.ones(VIEWS, BATCH), True, 1, 0.0), expected)


def test_simclr_equals_lightlys_loss():
    method, z = make(SimCLR, temperature=0.2), unit(views=2)
    loss = method.loss(embedded(z), torch.ones(2, BATCH), True, 1, 0.0)
    torch.testing.assert_close(loss, NTXentLoss(0.2)(z[0], z[1]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("view", [0, 3])
@pytest.mark.parametrize("method", [swav(), make(SimCLR)], ids=["swav", "simclr"])
def test_weight_zero_leaves_no_gradient(method, view):
    z = unit().requires_grad_()
    weights = torch.ones(VIEWS, BATCH)
    weights[view, 3] = 0
    method.loss(embedded(z), weights, True, 1, 0.0).backward()
    assert float(z.grad[view, 3].abs().max()) < 1e-9
    assert float(z.grad.abs().amax(-1).sort().values.flatten()[-1]) > 1e-5


def test_swavs_predictor_weight_zero_leaves_no_gradient():
    z = unit().requires_grad_()
    weights = torch.ones(VIEWS, BATCH)
    weights[3, 2] = 0
    swav().loss(embedded(z), weights, False, 1, 0.0).backward()
    assert float(z.grad[3, 2].abs().max()) == 0


def test_frozen_prototypes_get_a_zero_gradient():
    method = swav(frozen_steps=5)
    for step, moves in ((4, False), (5, True)):
        method.zero_grad()
        method.loss(embedded(unit()), torch.ones(VIEWS, BATCH), True, step, 0.0).backward()
        assert bool(method.prototypes.grad.abs().max() > 0) == moves


def test_the_queue_holds_the_newest_and_widens_the_codes_once_full():
    method = swav(queue_length=12, queue_start=0.5)
    first, second = unit(seed=1), unit(seed=2)
    method.loss(embedded(first), torch.ones(VIEWS, BATCH), True, 1, 0.6)
    without = method._codes((second[:2] @ method.prototypes.T).detach(), method.prototypes.detach(), 0.6)
    method.loss(embedded(second), torch.ones(VIEWS, BATCH), True, 2, 0.6)
    assert torch.equal(method.queue, torch.cat([second[:2], first[:2]], 1)[:, :12])
    with_queue = method._codes((second[:2] @ method.prototypes.T).detach(), method.prototypes.detach(), 0.6)
    assert without.shape == with_queue.shape
    assert not torch.allclose(without, with_queue)
    torch.testing.assert_close(with_queue.sum(-1), torch.ones(2, BATCH))


def test_embed_gives_unit_vectors_for_views_of_two_sizes():
    found = swav().embed([torch.randn(2, BATCH, 1, 28, 28), torch.randn(4, BATCH, 1, 16, 16)])
    assert found.z.shape == (6, BATCH, DIM)
    torch.testing.assert_close(found.z.norm(dim=-1), torch.ones(6, BATCH))
