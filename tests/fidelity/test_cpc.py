"""CPC v2's recipe compared with the pseudocode of the paper, reimplemented here in plain torch.

Hénaff et al., ICML 2020, appendix (its code was not released).
"""

from copy import deepcopy

import torch
from tests.fidelity import driver
from torch.nn.functional import conv2d, cross_entropy, pad

from uota.methods.build import build_method

SIDE, DIM, HIDDEN, BLOCKS = 6, 8, 16, 5
IGNORED, PREDICTED, SCALE = 2, 3, 0.1
CLIP, DECAY = 0.01, 0.9999


def settings():
    chosen = driver.shortened("cpc_v2_imagenet", epochs=3, backbone="tiny")
    return chosen.replace_flat(method_options=chosen.method.options | {"dim": DIM, "hidden": HIDDEN})


class Reference:
    """Encoder, four context networks, Adam with clipped gradients, and the moving average of the encoder."""

    def __init__(self, method):
        self.averaged, self.net = deepcopy(method.encoder).double(), deepcopy(method.learner).double()
        self.projector = deepcopy(method.projector).double()
        self.contexts, self.predictors = deepcopy(method.contexts).double(), deepcopy(method.predictors).double()
        self.learning = [self.net, self.projector, self.contexts, self.predictors]
        parameters = [p for part in self.learning for p in part.parameters()]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 1e-5},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.Adam(groups, lr=4e-4, betas=(0.8, 0.999), eps=1e-8)

    def context(self, latents, turn):
        """Apply the masked network of a direction: five blocks of 1×1, 1×3, 2×1 (padded above) and 1×1 convolutions."""
        layers = list(self.contexts[turn].children())[:BLOCKS]
        for block in layers:
            weights = [(conv.weight, conv.bias) for conv in block.children()]
            made = torch.relu(conv2d(latents, *weights[0]))
            made = conv2d(made, *weights[1], padding=(0, 1))
            made = torch.relu(conv2d(pad(made, (0, 0, 1, 0)), *weights[2]))
            latents = latents + conv2d(made, *weights[3])
        return torch.relu(latents)

    def loss(self, patches):
        """Return the cross-entropies of all directions, distances and positions against all positions of all images."""
        images = patches.shape[1]
        latents = self.net(patches.transpose(0, 1).flatten(0, 1)).view(images, SIDE, SIDE, -1).permute(0, 3, 1, 2)
        total, terms = 0.0, 0
        for turn in range(4):
            turned = torch.rot90(latents, turn, (2, 3))
            targets = self.projector(turned.permute(0, 2, 3, 1)).reshape(-1, DIM)
            context = self.context(turned, turn).permute(0, 2, 3, 1)
            predicted = self.predictors[turn](context).view(images, SIDE, SIDE, PREDICTED, DIM)
            for i in range(IGNORED, IGNORED + PREDICTED):
                rows = SIDE - i - 1
                predictions = predicted[:, :rows, :, i - IGNORED].reshape(-1, DIM) * SCALE
                number = torch.arange(images * rows * SIDE)
                labels = number // (rows * SIDE) * SIDE * SIDE + (i + 1) * SIDE + number % (rows * SIDE)
                total = total + cross_entropy(predictions @ targets.T, labels, reduction="sum")
                terms += len(labels)
        return total / terms

    def step(self, patches):
        with torch.no_grad():
            for old, new in zip(self.averaged.parameters(), self.net.parameters(), strict=True):
                old.copy_(DECAY * old + (1 - DECAY) * new)
        self.adam.zero_grad()
        loss = self.loss(patches)
        loss.backward()
        gradients = [p.grad for part in self.learning for p in part.parameters()]
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        for gradient in gradients:
            gradient.mul_(min(1.0, CLIP / float(norm + 1e-6)))
        self.adam.step()
        return float(loss.detach())

    def state(self):
        parts = {"encoder": self.averaged, "learner": self.net, "projector": self.projector}
        parts |= {"contexts": self.contexts, "predictors": self.predictors}
        state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        return {key: value.detach() for key, value in state.items()}


def test_thirty_steps_equal_the_reference(tmp_path):
    ours, data = build_method(settings()), driver.batches([(SIDE**2, 12)])
    theirs = Reference(ours)
    losses = [theirs.step(views.by_size[0]) for views in data]
    recorded = driver.train(ours, settings(), data, tmp_path)
    assert {rate for rates in recorded.rates for rate in rates} == {4e-4}
    torch.testing.assert_close(recorded.losses, losses, rtol=1e-9, atol=0)
    driver.assert_same(ours, theirs.state())
