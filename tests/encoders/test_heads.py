"""Heads and momentum: lightly's modules are the reference, and the names of their weights those of old checkpoints."""

import lightly.models.modules.heads as reference
import pytest
import torch
from lightly.models.utils import update_momentum
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.heads import MLP
from uota.encoders.momentum import follow
from uota.methods import BYOL, JCL, BarlowTwins, InfoMin, MoCo, SimCLR, SimSiam, SwAV

WIDTH, HIDDEN, DIM = 128, 24, 12
SIZES = {"hidden": HIDDEN, "dim": DIM}
QUEUE = {"queue_length": 32}


def hidden_layer(inputs, bias=False):
    return inputs, HIDDEN, nn.BatchNorm1d(HIDDEN), nn.ReLU(), bias


# Heads as methods build them on an encoder, and the same by lightly.
HEADS = {
    "moco": (lambda e: MoCo(e, **SIZES, **QUEUE).projector, lambda: reference.MoCoProjectionHead(WIDTH, HIDDEN, DIM)),
    "jcl": (lambda e: JCL(e, **SIZES, **QUEUE).projector, lambda: reference.MoCoProjectionHead(WIDTH, HIDDEN, DIM)),
    "infomin": (
        lambda e: InfoMin(e, **SIZES, **QUEUE).projector,
        lambda: reference.MoCoProjectionHead(WIDTH, HIDDEN, DIM),
    ),
    "simclr": (lambda e: SimCLR(e, **SIZES).projector, lambda: reference.SimCLRProjectionHead(WIDTH, HIDDEN, DIM)),
    "simsiam projector": (
        lambda e: SimSiam(e, HIDDEN, DIM).projector,
        lambda: reference.SimSiamProjectionHead(WIDTH, HIDDEN, HIDDEN),
    ),
    "simsiam predictor": (
        lambda e: SimSiam(e, HIDDEN, DIM).predictor,
        lambda: reference.SimSiamPredictionHead(HIDDEN, DIM, HIDDEN),
    ),
    "byol projector": (
        lambda e: BYOL(e, **SIZES).projector,
        lambda: reference.ProjectionHead([hidden_layer(WIDTH), (HIDDEN, DIM, None, None, False)]),
    ),
    "byol predictor": (
        lambda e: BYOL(e, **SIZES).predictor,
        lambda: reference.ProjectionHead([hidden_layer(DIM), (HIDDEN, DIM, None, None, False)]),
    ),
    "swav": (
        lambda e: SwAV(e, **SIZES, prototypes=8).projector,
        lambda: reference.ProjectionHead([hidden_layer(WIDTH, bias=True), (HIDDEN, DIM, None, None)]),
    ),
    "barlow_twins": (
        lambda e: BarlowTwins(e, **SIZES).projector,
        lambda: reference.ProjectionHead([hidden_layer(WIDTH), hidden_layer(HIDDEN), (HIDDEN, DIM, None, None, False)]),
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_has_the_weights_and_outputs_of_lightlys(name):
    build, build_reference = HEADS[name]
    ours, theirs = build(Encoder("tiny", 1, 28)), build_reference()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert "layers.0.weight" in ours.state_dict()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(16, theirs.layers[0].in_features)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))  # by the running statistics of that batch


def test_a_head_draws_the_initial_weights_that_lightlys_does():
    torch.manual_seed(0)
    ours = MLP(WIDTH, HIDDEN, HIDDEN, DIM, last_norm=nn.BatchNorm1d(DIM, affine=False)).state_dict()
    torch.manual_seed(0)
    theirs = reference.SimSiamProjectionHead(WIDTH, HIDDEN, DIM).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_copy_follows_as_lightlys_does():
    original, ours, theirs = (MLP(WIDTH, HIDDEN, DIM) for _ in range(3))
    theirs.load_state_dict(ours.state_dict())
    for _ in range(3):
        follow(ours, original, 0.9)
        update_momentum(original, theirs, 0.9)
    for own, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, their, rtol=1e-6, atol=1e-7)  # some releases add in another order
