"""The supervised recipe compared with the reference of torchvision, reimplemented here in plain torch.

pytorch/vision: references/classification/train.py; pytorch/examples: imagenet/main.py.
"""

from copy import deepcopy

import pytest
import torch
from tests.fidelity import driver
from torch.nn.functional import cross_entropy

from uota.methods.build import build_method

EPOCHS = 3  # the learning rate decays after each, as after 30 and 60 of 90


def settings(backbone="tiny"):
    chosen = driver.shortened("supervised_imagenet", epochs=EPOCHS, backbone=backbone)
    return chosen.replace_flat(method_options={"classes": 4})


def reference(method, data):
    """Return the state of the method after training with torch.optim.SGD, and the loss of every step."""
    net, head = deepcopy(method.encoder).double(), deepcopy(method.classifier).double()
    sgd = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(sgd, step_size=driver.STEPS // EPOCHS, gamma=0.1)
    losses = []
    for views in data:
        loss = cross_entropy(head(net(views.by_size[0][0])), views.labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        schedule.step()
        losses.append(float(loss.detach()))
    state = {f"encoder.{key}": value for key, value in net.state_dict().items()}
    state |= {f"classifier.{key}": value for key, value in head.state_dict().items()}
    return {key: value.detach() for key, value in state.items() if value.is_floating_point()}, losses


def test_thirty_steps_equal_the_reference_of_torchvision(tmp_path):
    ours, data = build_method(settings()), driver.batches([(1, 16)])
    theirs, losses = reference(ours, data)
    recorded = driver.train(ours, settings(), data, tmp_path)
    assert [rates[0] for rates in recorded.rates[::10]] == pytest.approx([0.1, 0.01, 0.001])
    torch.testing.assert_close(recorded.losses, losses, rtol=1e-9, atol=0)
    driver.assert_same(ours, theirs)


def test_every_norm_is_initialised_with_1():
    method = build_method(settings("resnet18"))  # timm initialises its last norms with 0
    norms = [part for part in method.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all()) for norm in norms)
