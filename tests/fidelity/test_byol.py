"""BYOL compared with google-deepmind/deepmind-research: byol/byol_experiment.py, configs/byol.py and utils/."""

import pytest
import torch
from tests.fidelity.driver import STEPS, assert_same, batches, shortened, train
from tests.fidelity.siamese import PublishedLars, TinyEncoder, cosine, encoded, headed, learned, state_of
from torch.nn.functional import normalize

from uota.methods import BYOL
from uota.recipes import recipe

WARMUP = 6
DATA = batches([(2, 8)])


def published(state):
    """Return the losses and the trained state, without the unused last update of the target.

    The two networks start alike here; the published code draws them apart, and finds that it does not matter.
    """
    online = learned(state, "encoder", "projector", "predictor")
    optimizer, losses = PublishedLars(online, decay=1e-6), []
    for step, views in enumerate(DATA):
        z = [headed(state, encoded(state, view), "projector", "lnrl") for view in views.by_size[0]]
        p = [normalize(headed(state, view, "predictor", "lnrl"), dim=1) for view in z]
        with torch.no_grad():
            features = [encoded(state, view, "target.encoder") for view in views.by_size[0]]
            t = [normalize(headed(state, view, "target.projector", "lnrl"), dim=1) for view in features]
        loss = ((p[0] - t[1]).square().sum(1) + (p[1] - t[0]).square().sum(1)).mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(online.values()))
        rate = 4.8 * step / WARMUP if step < WARMUP else cosine(4.8, 0, (step - WARMUP) / (STEPS - WARMUP))
        optimizer.step(dict(zip(online, gradients, strict=True)), rate, rate)
        if step < STEPS - 1:
            follow(state, online, tau=1 - cosine(1 - 0.99, 0, step / STEPS))
    return losses, {name: value.detach() for name, value in state.items()}


def follow(state, online, tau):
    for name, value in online.items():
        if not name.startswith("predictor"):
            target = state[f"target.{name}"]
            target += (1 - tau) * (value.detach() - target)


def test_thirty_steps_equal_the_reference(tmp_path):
    torch.manual_seed(0)
    settings = shortened("byol_imagenet", epochs=5, warmup_steps=WARMUP)
    method = BYOL(TinyEncoder(), **settings.method.options | {"hidden": 16, "dim": 6}).double()
    losses, state = published(state_of(method))
    recorded = train(method, settings, DATA, tmp_path)
    assert recorded.losses == pytest.approx(losses, abs=1e-9)
    assert_same(method, state)


def test_other_settings_are_as_published():
    settings = recipe("byol_imagenet")
    assert (settings.optimization.epochs, settings.optimization.batch_size, settings.method.zero_init_last) == (
        300,
        4096,
        False,
    )
    assert settings.optimization.warmup_steps == 10 * 1281167 // 4096
    assert settings.method.options == {"hidden": 4096, "dim": 256, "momentum": 0.99}
