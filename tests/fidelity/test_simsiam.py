"""SimSiam compared with facebookresearch/simsiam: main_simsiam.py and simsiam/builder.py, with --fix-pred-lr."""

import pytest
import torch
from tests.fidelity.driver import STEPS, assert_same, batches, shortened, train
from tests.fidelity.siamese import TinyEncoder, cosine, encoded, headed, learned, state_of
from torch.nn.functional import normalize

from uota.methods import SimSiam
from uota.recipes import recipe

EPOCHS = 5
DATA = batches([(2, 8)])


def published(state):
    """Return the losses and the trained state: momentum SGD, decay of all parameters, a learning rate per epoch."""
    body, predictor = learned(state, "encoder", "projector"), learned(state, "predictor")
    everything, momenta, losses = body | predictor, {}, []
    for step, views in enumerate(DATA):
        z = [headed(state, encoded(state, view), "projector", "lnrlnrls") for view in views.by_size[0]]
        p = [headed(state, view, "predictor", "lnrL") for view in z]
        cosines = [(normalize(p[a], dim=1) * normalize(z[b].detach(), dim=1)).sum(1) for a, b in ((0, 1), (1, 0))]
        loss = -(cosines[0].mean() + cosines[1].mean()) / 2
        losses.append(loss.item())
        epoch = step // (STEPS // EPOCHS)
        rates = dict.fromkeys(body, cosine(0.05, 0, epoch / EPOCHS)) | dict.fromkeys(predictor, 0.05)
        gradients = torch.autograd.grad(loss, list(everything.values()))
        for (name, value), gradient in zip(everything.items(), gradients, strict=True):
            gradient = gradient + 1e-4 * value.detach()
            momenta[name] = 0.9 * momenta[name] + gradient if name in momenta else gradient
            value.data -= rates[name] * momenta[name]
    return losses, {name: value.detach() for name, value in state.items()}


def test_thirty_steps_equal_the_reference(tmp_path):
    torch.manual_seed(0)
    settings = shortened("simsiam_imagenet", epochs=EPOCHS)
    method = SimSiam(TinyEncoder(), **settings.method.options | {"dim": 16, "bottleneck": 4}).double()
    losses, state = published(state_of(method))
    recorded = train(method, settings, DATA, tmp_path)
    assert recorded.losses == pytest.approx(losses, abs=1e-9)
    assert_same(method, state)


def test_other_settings_are_as_published():
    settings = recipe("simsiam_imagenet")
    assert (settings.optimization.epochs, settings.optimization.batch_size, settings.method.zero_init_last) == (
        200,
        256,
        True,
    )
    assert settings.method.options == {"dim": 2048, "bottleneck": 512}
