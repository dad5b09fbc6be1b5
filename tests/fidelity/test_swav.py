"""SwAV and SwAV + UOTA compared for 30 steps with the released algorithm (facebookresearch/swav, ssl-codelab/uota).

Published values are constants here; ours come from the recipes. Only widths and lengths are smaller.
"""

import math
from copy import deepcopy

import pytest
import torch
from tests.fidelity.driver import BATCH, STEPS, assert_same, batches, shortened, train
from tests.fidelity.optimisers import larc
from torch.nn.functional import log_softmax, normalize

from uota.methods.build import build_method
from uota.recipes import recipe
from uota.training.setup import build_arbiter

CROPS, VIEWS, QUEUE, FROZEN, DIM = 2, 5, 3 * BATCH, 4, 12
SMALL = {"hidden": 24, "dim": DIM, "prototypes": 20, "frozen_steps": FROZEN}
# scripts/swav_200ep_bs256_pretrain.sh; the README of UOTA.
RATE, FINAL_RATE, DECAY, TEMPERATURE, EPSILON, ITERATIONS = 0.6, 0.0006, 1e-6, 0.1, 0.05, 3
EPOCHS, QUEUE_EPOCH, UOTA_EPOCH, TAU = 200, 15, 100, 350.0


def rate(step, factor=1.0):
    """Return a cosine without warm-up; UOTA doubles its maximum, but not its end, once weights are used."""
    return FINAL_RATE + 0.5 * (factor * RATE - FINAL_RATE) * (1 + math.cos(math.pi * step / STEPS))


def assign(scores):
    """Apply distributed_sinkhorn on one device to scores (images, prototypes)."""
    q = torch.exp(scores / EPSILON).T
    q = q / q.sum()
    prototypes, images = q.shape
    for _ in range(ITERATIONS):
        q = q / (prototypes * q.sum(1, keepdim=True))
        q = q / (images * q.sum(0, keepdim=True))
    return (q / q.sum(0, keepdim=True)).T


def weights_of(z):
    """Return the weights of UOTA's `_get_sample_weight`, whose centres are those of the two large crops."""
    deviations = (z - z[:2].mean(0)).flatten(0, 1)
    sigma = deviations.T @ deviations / len(deviations) + 1e-8 * torch.eye(DIM, dtype=z.dtype)
    distances = (deviations @ torch.linalg.inv(sigma) * deviations).sum(1)
    return len(deviations) * torch.softmax(-distances / TAU, 0).unflatten(0, z.shape[:2])


class Published:
    """The published algorithm on a copy of the network."""

    def __init__(self, network, queue_length=0, uota=False):
        self.network, self.queue_length, self.uota = network, queue_length, uota
        self.queue, self.losses = None, []
        self.update = larc(network.parameters(), DECAY)

    def embed(self, groups):
        """Encode the views of each size together, and project all views together."""
        features = torch.cat([self.network.encoder(group.flatten(0, 1)) for group in groups])
        return normalize(self.network.projector(features), dim=1).unflatten(0, (VIEWS, BATCH))

    def codes_of(self, crop, scores, z):
        prototypes = self.network.prototypes.detach()
        if self.queue is not None:
            if (self.queue[crop, -1] != 0).any():
                scores = torch.cat([self.queue[crop] @ prototypes.T, scores])
            self.queue[crop] = torch.cat([z, self.queue[crop, :-BATCH]])
        return assign(scores)[-BATCH:]

    def step(self, number, groups):
        share = number / STEPS
        if self.queue_length and share >= QUEUE_EPOCH / EPOCHS and self.queue is None:
            self.queue = torch.zeros(CROPS, self.queue_length, DIM, dtype=torch.float64)
        arbitrates = self.uota and share >= UOTA_EPOCH / EPOCHS
        with torch.no_grad():
            self.network.prototypes.copy_(normalize(self.network.prototypes, dim=1))
        z = self.embed(groups)
        scores = z @ self.network.prototypes.T
        weights = weights_of(z.detach()) if arbitrates else torch.ones(VIEWS, BATCH, dtype=z.dtype)
        loss = 0
        for crop in range(CROPS):
            q = self.codes_of(crop, scores[crop].detach(), z[crop].detach())
            for v in set(range(VIEWS)) - {crop}:
                p = log_softmax(scores[v] / TEMPERATURE, dim=1)
                loss = loss - ((q * p).sum(1) * weights[v]).mean() / (VIEWS - 1) / CROPS
        self.network.zero_grad()
        loss.backward()
        if number < FROZEN:
            self.network.prototypes.grad = None
        self.update(rate(number, 2.0 if arbitrates else 1.0))
        self.losses.append(float(loss.detach()))

    def state(self):
        state = {name: value for name, value in self.network.state_dict().items() if value.is_floating_point()}
        return state | ({} if self.queue is None else {"queue": self.queue})


def trained(settings, folder, **published):
    """Train by a recipe and by the published algorithm, from the same network on the same batches."""
    method = build_method(settings).double()
    theirs = Published(deepcopy(method).train(), **published)
    data = batches([(CROPS, 8), (VIEWS - CROPS, 4)])
    arbiter = build_arbiter(settings, method.dim)
    recorder = train(method, settings, data, folder, arbiter)
    for number, views in enumerate(data):
        theirs.step(number, views.by_size)
    return method, recorder, theirs


def small(name, **options):
    settings = shortened(name, epochs=15, backbone="tiny")
    return settings.replace_flat(method_options=settings.method.options | SMALL | options)


def test_swav_trains_as_published(tmp_path):
    settings = small("swav_imagenet", queue_length=QUEUE)
    method, recorder, theirs = trained(settings, tmp_path, queue_length=QUEUE)
    assert recorder.losses == pytest.approx(theirs.losses, abs=1e-9)
    assert_same(method, theirs.state())


def test_swav_with_uota_trains_as_published(tmp_path):
    method, recorder, theirs = trained(small("swav_uota_imagenet"), tmp_path, uota=True)
    assert recorder.losses == pytest.approx(theirs.losses, abs=1e-9)
    assert_same(method, theirs.state())


@pytest.mark.parametrize(("name", "frozen", "queue"), [("swav_imagenet", 5005, 3840), ("swav_uota_imagenet", 313, 0)])
def test_lengths_and_widths_are_as_published(name, frozen, queue):
    """These are scaled down in the trajectories."""
    settings = recipe(name)
    options = {"queue_length": 0} | settings.method.options
    published = {"hidden": 2048, "dim": 128, "prototypes": 3000, "frozen_steps": frozen, "queue_length": queue}
    assert {option: options[option] for option in published} == published
    assert (settings.optimization.epochs, settings.optimization.batch_size, settings.runtime.devices) == (
        EPOCHS,
        4 * 64,
        4,
    )
    assert settings.method.zero_init_last is False


def test_the_recipe_with_the_learned_arbiter_differs_from_uota_in_the_arbiter_only():
    learned, uota = recipe("swav_learned_imagenet").as_flat(), recipe("swav_uota_imagenet").as_flat()
    differing = {name for name in uota if uota[name] != learned[name]}
    assert differing == {"arbiter", "tau", "anchors", "start", "weighted_side", "eyes", "late_factor"}
