"""Barlow Twins compared with facebookresearch/barlowtwins: main.py, as run by 32 processes."""

import pytest
import torch
from tests.fidelity.driver import STEPS, assert_same, batches, shortened, train
from tests.fidelity.siamese import PublishedLars, TinyEncoder, cosine, encoded, headed, learned, state_of
from torch import nn

from uota.methods import BarlowTwins
from uota.recipes import recipe

PROCESSES, WARMUP = 32, 5
DATA = batches([(2, 8)])


def standardised(z):
    return (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()


def loss_of(c):
    diagonal = torch.diagonal(c)
    return (diagonal - 1).square().sum() + 0.0051 * (c.square().sum() - diagonal.square().sum())


def gradients_of_processes(z1, z2, parameters, processes):
    """Return the loss, and the gradients that DistributedDataParallel computes on processes that share the batch.

    Each computes the loss of the C summed over all, by an all-reduce that autograd does not see: its gradient reaches
    the rows of this process alone. The mean over processes is then one of them, in so many, of the loss's gradient.
    """
    a, b = standardised(z1), standardised(z2)
    parts = [rows_a.T @ rows_b / len(z1) for rows_a, rows_b in zip(a.chunk(processes), b.chunk(processes), strict=True)]
    whole = sum(parts).detach()
    losses = [loss_of(whole + part - part.detach()) for part in parts]
    return losses[0].item(), torch.autograd.grad(sum(losses) / processes, parameters)


def published(state):
    """Return the losses and the trained state of 32 processes, simulated by one since the batch has only 8 rows."""
    everything = learned(state, "encoder", "projector")
    optimizer, losses = PublishedLars(everything, decay=1.5e-6), []
    for step, views in enumerate(DATA):
        z = [headed(state, encoded(state, view), "projector", "lnrlnrl") for view in views.by_size[0]]
        loss, gradients = gradients_of_processes(*z, list(everything.values()), processes=1)
        losses.append(loss)
        share = step / WARMUP if step < WARMUP else cosine(1, 0.001, (step - WARMUP) / (STEPS - WARMUP))
        shared = [gradient / PROCESSES for gradient in gradients]
        rates = [base * 2048 / 256 * share for base in (0.2, 0.0048)]
        optimizer.step(dict(zip(everything, shared, strict=True)), *rates)
    return losses, {name: value.detach() for name, value in state.items()}


def test_thirty_steps_equal_the_reference(tmp_path):
    torch.manual_seed(0)
    settings = shortened("barlow_twins_imagenet", epochs=5, warmup_steps=WARMUP)
    method = BarlowTwins(TinyEncoder(), **settings.method.options | {"hidden": 16, "dim": 12}).double()
    losses, state = published(state_of(method))
    recorded = train(method, settings, DATA, tmp_path)
    assert recorded.losses == pytest.approx([loss / PROCESSES for loss in losses], abs=1e-9)
    assert_same(method, state)


def test_the_published_gradient_is_divided_by_the_number_of_processes():
    torch.manual_seed(0)
    head, (x1, x2) = nn.Linear(5, 4).double(), torch.randn(2, 8, 5, dtype=torch.float64)
    _, (alone, _) = gradients_of_processes(head(x1), head(x2), list(head.parameters()), 1)
    _, (shared, _) = gradients_of_processes(head(x1), head(x2), list(head.parameters()), 4)
    torch.testing.assert_close(shared, alone / 4)


def test_other_settings_are_as_published():
    settings = recipe("barlow_twins_imagenet")
    assert (settings.optimization.epochs, settings.optimization.batch_size, settings.runtime.devices) == (
        1000,
        2048,
        PROCESSES,
    )
    assert settings.optimization.warmup_steps == 10 * (1281167 // 2048)
    assert settings.method.zero_init_last
