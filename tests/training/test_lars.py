"""LARS, compared with its definition in float64, with both kinds of momentum, zero tensors and unadapted groups."""

import pytest
import torch
from torch import nn

from uota.training.lars import Lars

RATES = (0.0, 0.3, 1.0, 0.2)  # one per step; the two kinds of momentum differ only while the rate changes
DECAY, TRUST = 0.01, 0.001


def tensors(*shapes):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def trained(start, gradients, rate_in_momentum=False, **group):
    """Take a step with each gradient at the rates above, and return the tensor."""
    tensor = nn.Parameter(start.clone())
    group = {"params": [tensor], "weight_decay": DECAY} | group
    optimizer = Lars([group], 0.1, trust=TRUST, rate_in_momentum=rate_in_momentum)
    for rate, gradient in zip(RATES, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        tensor.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(tensor.grad, gradient)  # the optimiser does not change the gradient
    return tensor.detach()


def test_momentum_of_gradients_is_multiplied_by_the_rate_of_the_step():
    start, *gradients = tensors(*[(4, 3)] * 5)
    x, momentum = start.clone(), torch.zeros_like(start)
    for rate, gradient in zip(RATES, gradients, strict=True):
        decayed = gradient + DECAY * x
        momentum = 0.9 * momentum + TRUST * x.norm() / decayed.norm() * decayed
        x = x - rate * momentum
    torch.testing.assert_close(trained(start, gradients), x, rtol=1e-12, atol=0)


def test_momentum_of_updates_keeps_the_rate_of_each_step():
    start, *gradients = tensors(*[(4, 3)] * 5)
    x, momentum = start.clone(), torch.zeros_like(start)
    for rate, gradient in zip(RATES, gradients, strict=True):
        decayed = gradient + DECAY * x
        momentum = 0.9 * momentum + rate * TRUST * x.norm() / decayed.norm() * decayed
        x = x - momentum
    torch.testing.assert_close(trained(start, gradients, rate_in_momentum=True), x, rtol=1e-12, atol=0)


def test_a_group_without_adaptation_is_trained_with_sgd():
    start, *gradients = tensors(*[(5,)] * 5)
    x, momentum = start.clone(), torch.zeros_like(start)
    for rate, gradient in zip(RATES, gradients, strict=True):
        momentum = 0.9 * momentum + gradient
        x = x - rate * momentum
    torch.testing.assert_close(trained(start, gradients, adapt=False, weight_decay=0.0), x, rtol=1e-12, atol=0)


def test_a_zero_tensor_takes_the_step_of_sgd():
    """With a trust ratio of 0 instead of 1 it would stay zero for ever."""
    (gradient,) = tensors((4, 3))
    zeros = torch.zeros_like(gradient)
    tensor = nn.Parameter(zeros.clone())
    tensor.grad = gradient
    Lars([tensor], 0.3, weight_decay=DECAY).step()
    torch.testing.assert_close(tensor.detach(), -0.3 * gradient, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rate_in_momentum", [False, True])
def test_a_zero_tensor_with_zero_gradients_stays_zero(rate_in_momentum):
    zeros = torch.zeros(3, 2, dtype=torch.float64)
    assert torch.equal(trained(zeros, [zeros] * len(RATES), rate_in_momentum), zeros)


def test_a_zero_gradient_without_decay_changes_nothing():
    (start,) = tensors((4, 3))
    still = trained(start, [torch.zeros_like(start)] * len(RATES), weight_decay=0.0)
    torch.testing.assert_close(still, start, rtol=0, atol=0)


def test_each_tensor_has_its_own_trust_ratio_and_those_without_a_gradient_stay():
    """One group of three tensors equals three groups of one."""
    x, y, z, *gradients = tensors((4, 3), (2, 2), (3,), (4, 3), (2, 2))
    together = [nn.Parameter(each.clone()) for each in (x, y, z)]
    alone = [nn.Parameter(each.clone()) for each in (x, y)]
    for parameters, groups in ((together, together), (alone, [{"params": [each]} for each in alone])):
        for parameter, gradient in zip(parameters, gradients, strict=False):
            parameter.grad = gradient.clone()
        Lars(groups, 1.0).step()
    torch.testing.assert_close(together[0], alone[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(together[1], alone[1], rtol=1e-12, atol=0)
    assert torch.equal(together[2], z)


def test_momentum_is_resumed():
    start, *gradients = tensors((4, 3), (4, 3), (4, 3))
    whole, parts = (nn.Parameter(start.clone()) for _ in range(2))
    optimizer, before = Lars([whole], 1.0), Lars([parts], 1.0)
    for parameter, each in ((whole, optimizer), (parts, before)):
        parameter.grad = gradients[0].clone()
        each.step()
    after = Lars([parts], 1.0)
    after.load_state_dict(before.state_dict())
    for parameter, each in ((whole, optimizer), (parts, after)):
        parameter.grad = gradients[1].clone()
        each.step()
    assert torch.equal(whole, parts)
