"""Optimisers of papers, compared with their arithmetic written out in float64, and their parameter groups."""

import pytest
import torch
from tests.fidelity.optimisers import larc, lars_of_simclr
from torch import nn

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.optimizer import build_optimizer, check_optimizer, parameter_groups

DECAY, STEPS = 0.01, 5


class Net(nn.Module):
    """A network of two parts with a batch norm, whose shift starts at 0, where the trust ratio is undefined."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
        self.predictor = nn.Linear(5, 3)

    def forward(self, x):
        return self.predictor(self.encoder(x))


def net():
    torch.manual_seed(0)
    return Net().double()


def settings(optimizer="momentum", **changes):
    own = {"optimizer": optimizer, "learning_rate": 0.5, "weight_decay": DECAY, "momentum": 0.9}
    return Pretrain.from_flat(**own | changes)


def rates(step):
    return 0.5 / (step + 1)


def gradients_of(model, step):
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    model.zero_grad()
    (model(x).tanh() - x[:, :3]).square().mean().backward()


def ours(chosen, drop=None):
    """Train a network for a few steps at changing rates with an optimiser of the package."""
    model = net()
    optimizer = build_optimizer(model, chosen)
    for step in range(STEPS):
        gradients_of(model, step)
        if drop is not None and step < 2:
            model.get_parameter(drop).grad = None
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * rates(step)
        optimizer.step()
    return dict(model.named_parameters())


def theirs(make, drop=None):
    model = net()
    update = make(model.parameters(), DECAY)
    for step in range(STEPS):
        gradients_of(model, step)
        if drop is not None and step < 2:
            model.get_parameter(drop).grad = None
        update(rates(step))
    return dict(model.named_parameters())


def assert_equal(one, other):
    for name, value in one.items():
        torch.testing.assert_close(
            value.detach(), other[name].detach(), rtol=1e-12, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


def plain(parameters, decay, adapted=lambda g, p: 1.0, all_decay=False, bias_rate=1.0):
    """SGD with momentum, whose buffer does not include the rate; for LARS, `adapted` is the trust ratio."""
    parameters = list(parameters)
    momenta = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def update(rate):
        for p, m in zip(parameters, momenta, strict=True):
            weight = p.ndim > 1
            g = p.grad + decay * p if weight or all_decay else p.grad
            m.mul_(0.9).add_(g * (adapted(g, p) if weight or all_decay else 1.0))
            p -= rate * (1.0 if weight else bias_rate) * m

    return update


def by_decayed_gradient(g, p):
    """The trust ratio in the code of BYOL and Barlow Twins."""
    return 0.001 * p.norm() / g.norm() if p.norm() > 0 and g.norm() > 0 else 1.0


def test_larc_equals_that_of_apex_without_clipping():
    assert_equal(ours(settings("larc", decay_all=True)), theirs(larc))


def test_larc_does_not_change_parameters_without_a_gradient():
    name = "predictor.weight"
    assert_equal(ours(settings("larc", decay_all=True), drop=name), theirs(larc, drop=name))


def test_larc_adapts_the_rate_without_decay_too():
    made = ours(settings("larc", decay_all=True, weight_decay=0.0))
    assert_equal(made, theirs(lambda parameters, _: larc(parameters, 0.0)))


def test_lars_of_simclr_accumulates_updates():
    assert_equal(ours(settings("lars_simclr")), theirs(lars_of_simclr))


@pytest.mark.parametrize("decay_all", [False, True])
@pytest.mark.parametrize("bias_rate", [1.0, 0.024])
def test_lars_leaves_biases_and_norms_out_unless_told(decay_all, bias_rate):
    chosen = settings("lars", decay_all=decay_all, bias_rate=bias_rate)
    assert_equal(ours(chosen), theirs(lambda p, decay: plain(p, decay, by_decayed_gradient, decay_all, bias_rate)))


@pytest.mark.parametrize("decay_all", [False, True])
def test_momentum_is_classical_sgd(decay_all):
    assert_equal(ours(settings(decay_all=decay_all)), theirs(lambda p, decay: plain(p, decay, all_decay=decay_all)))


def test_groups_separate_biases_and_constant_rates():
    groups = parameter_groups(net(), settings(constant_rate=["predictor"], bias_rate=0.1))
    found = {(group["rate"], group["constant"], group["weight_decay"]): len(group["params"]) for group in groups}
    weight, biases = {(1.0, False, DECAY): 1, (1.0, True, DECAY): 1}, {(0.1, False, 0.0): 3, (0.1, True, 0.0): 1}
    assert found == weight | biases


def test_frozen_parameters_are_in_no_group():
    model = net()
    model.predictor.bias.requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(model, settings())) == 5


def test_an_unknown_part_is_refused():
    with pytest.raises(UotaError, match=r"constant_rate names 'head', .* choose from encoder, predictor"):
        parameter_groups(net(), settings(constant_rate=["head"]))


def test_testing_an_optimiser_ignores_constant_rates():
    check_optimizer(settings(constant_rate=["predictor"]))  # the layer that it is tested on has no such part
    with pytest.raises(UotaError, match="no_such"):
        check_optimizer(settings("no_such", constant_rate=["predictor"]))


@pytest.mark.parametrize(("name", "sentence"), [("lasr", "such as lars"), ("no_such", "there is no optimizer")])
def test_an_unknown_optimiser_is_refused(name, sentence):
    with pytest.raises(UotaError, match=sentence):
        build_optimizer(net(), settings(name))


def test_the_references_differ_from_each_other():
    """The differences of LARC and of SimCLR's momentum show within these few steps."""
    lars = theirs(lambda p, decay: plain(p, decay, by_decayed_gradient))
    for other in (theirs(lars_of_simclr), theirs(larc)):
        assert not torch.allclose(lars["encoder.0.weight"], other["encoder.0.weight"], atol=1e-9, rtol=0)


def test_the_encoder_has_a_rate_of_its_own():
    model = net()
    groups = parameter_groups(model, settings(encoder_rate=0.1, bias_rate=0.5))
    rate_of = {each: group["rate"] for group in groups for each in group["params"]}
    found = {name: rate_of[each] for name, each in model.named_parameters()}
    assert found == {
        "encoder.0.weight": 0.1,
        "encoder.0.bias": 0.05,
        "encoder.1.weight": 0.05,
        "encoder.1.bias": 0.05,
        "predictor.weight": 1.0,
        "predictor.bias": 0.5,
    }


FUSED = {"adamw": True, "momentum": True, "lookahead_adamw": True, "lars": False, "larc": False, "lamb": False}


@pytest.mark.parametrize("name", FUSED)
def test_torchs_optimisers_are_fused(name):
    optimizer = build_optimizer(net(), settings(name))
    assert bool(optimizer.param_groups[0].get("fused")) == FUSED[name]
    check_optimizer(settings(name))
