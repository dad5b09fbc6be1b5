import pytest
import torch

from uota.encoders.encoder import Encoder
from uota.encoders.eyes import FrozenFeatures
from uota.training.arbiter_choice import ArbiterChoice
from uota.training.frozen_eyes import FrozenEyes

HALF = (0.5,) * 3
CHOICE = ArbiterChoice("made", ["last", "before"], [128, 64], head_steps=3)


@pytest.fixture
def eyes():
    torch.manual_seed(0)
    return FrozenEyes(FrozenFeatures(Encoder("tiny", 3, 32), HALF, HALF, HALF, HALF), CHOICE)


def test_features_are_unit_vectors_without_gradients(eyes):
    views = [torch.randn(2, 5, 3, 64, 64, requires_grad=True), torch.randn(1, 5, 3, 32, 32)]
    found = eyes(views)
    assert found.shape == (3, 5, 192)
    assert not found.requires_grad
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3, 5))
    assert not any(parameter.requires_grad for parameter in eyes.parameters())


def test_the_state_has_the_projection_and_not_the_encoder(eyes):
    state = eyes.state_dict()
    assert {name.split(".")[0] for name in state} == {"projection"}
    again = FrozenEyes(eyes.frozen)
    again.fit(CHOICE, eyes.projection.state_dict())
    views = [torch.randn(2, 5, 3, 64, 64)]
    assert torch.equal(again(views), eyes(views))
    assert not eyes.train().frozen.encoder.training


def test_eyes_move_with_their_module_in_64_bits(eyes):
    moved = torch.nn.ModuleDict({"eyes": eyes}).double()
    assert {each.dtype for each in eyes.frozen.encoder.parameters()} == {torch.float64}
    assert moved["eyes"]([torch.randn(2, 5, 3, 64, 64)]).shape == (2, 5, 192)


def test_eyes_that_are_not_fitted_say_so(eyes):
    with pytest.raises(RuntimeError, match="not fitted"):
        FrozenEyes(eyes.frozen)([torch.randn(2, 5, 3, 64, 64)])
