"""No training step waits for the device, whatever the method, the arbiter, the optimiser, and what is logged."""

from contextlib import contextmanager
from inspect import unwrap

import pytest
import torch
from tests.training.stepping import ARBITERS, Training, training_of
from tests.waiting import Waits

from uota.methods import METHODS
from uota.training.monitor import Monitor

NO_GPU = not torch.cuda.is_available()
GPU = pytest.param("cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(NO_GPU, reason="there is no NVIDIA GPU")])
devices = pytest.mark.parametrize("device", ["cpu", GPU])


@contextmanager
def no_waiting(training: Training):
    """Fail if a block waits for the device."""
    if training.views.index.is_cuda:
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return
    with Waits(training.tensors()) as waits:
        yield
    assert not waits.found, "\n".join(dict.fromkeys(waits.found))


def monitored_step(training: Training, monitor: Monitor) -> None:
    output = training.step()
    # The function below the check of types, which this trainer is not.
    unwrap(Monitor.on_train_batch_end)(monitor, training.trainer, training.module, output, training.views, 0)


def assert_no_waiting(training: Training) -> None:
    names = ["global", "local"][: len(training.views.by_size)]
    monitor = Monitor(names, 1000, quiet=True)
    training.trainer.global_step = 501  # no step at which anything is read
    for _ in range(2):  # which make states of optimisers, for example
        monitored_step(training, monitor)
    with no_waiting(training):
        monitored_step(training, monitor)


@devices
@pytest.mark.parametrize("method", METHODS)
def test_a_step_without_an_arbiter_does_not_wait(method, device):
    assert_no_waiting(training_of(method, device))


@devices
@pytest.mark.parametrize("arbiter", [name for name in ARBITERS if name != "none"])
def test_a_step_with_an_arbiter_does_not_wait(arbiter, device):
    """An arbiter takes what a method has embedded, which is made with or without a momentum encoder."""
    for method in ("simclr", "moco_v2"):
        training = training_of(method, device)
        training.judge_by(**ARBITERS[arbiter])
        assert_no_waiting(training)


@devices
@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("simclr", "moco_v2")])
def test_weights_of_both_kinds_do_not_wait(method, device):
    training = training_of(method, device)
    for arbiter in ("learned", "paper"):
        training.judge_by(**ARBITERS[arbiter])
        assert_no_waiting(training)


@devices
@pytest.mark.parametrize("optimizer", ["momentum", "lars", "lars_simclr", "larc"])
def test_optimisers_do_not_wait(optimizer, device):
    assert_no_waiting(training_of("simclr", device, optimizer=optimizer))


def test_accumulation_does_not_wait():
    assert_no_waiting(training_of("infomin", accumulate=3))


WAITING = {
    "a number": lambda x: float(x.sum()),
    "a decision": lambda x: bool((x > 0).any()),
    "a mask": lambda x: x[x > 0],
    "places": lambda x: torch.nonzero(x),
    "a list as an index": lambda x: x[[0, 1]],
    "indices of the processor": lambda x: x[torch.arange(2)],
    "a copy": lambda x: x.cpu(),
    "a list": lambda x: x.tolist(),
    "numbers for the device": lambda x: x.new_tensor([1.0, 2.0]),
    "a tensor for the device": lambda x: torch.ones(3).to(x),
}


@pytest.mark.parametrize("kind", WAITING)
def test_what_waits_is_found_where_it_follows_from_the_device(kind):
    x = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]])
    with Waits([x]) as waits:
        WAITING[kind]((x * 2).detach())
    assert len(waits.found) >= 1
    with Waits([x]) as waits:
        WAITING[kind](torch.ones(2, 3))
        (x * 2 + torch.ones(2, 3, device=x.device)).sum()
    assert not waits.found
