"""Trainings on a GPU: their steps are those of the CPU, they resume, and their checkpoints load where there is none.

The same tests run with the CPU as the device, of one method with one arbiter, so that they keep working.
"""

import os
import sys
from contextlib import nullcontext

import pytest
import torch
from tests.processes import run_command
from tests.training.stepping import ARBITERS, Training, training_of
from tests.training.stopping import whole_and_resumed
from torch import Tensor

from uota.encoders.memory import draw
from uota.methods import METHODS
from uota.runs.run import Run
from uota.training.pretrain import pretrain

NO_GPU = not torch.cuda.is_available()
MARKS = [pytest.mark.cuda, pytest.mark.skipif(NO_GPU, reason="there is no NVIDIA GPU")]
GPU = pytest.param("cuda", marks=MARKS)
# One method and arbiter with the CPU as the device, then all of them on a GPU.
STEPS = [("cpu", "simclr", "learned")]
STEPS += [
    pytest.param("cuda", method, arbiter, marks=MARKS)
    for method in METHODS
    for arbiter in ARBITERS
    if (method, arbiter) != ("cpc_v2", "sampler")  # the cells of a crop are no candidates
]
# Of the loss (relative, or absolute below 1), of the weights (mean), and of all gradients (relative). On a CPU, bf16 is
# up to 0.005, 0.1 and 0.35 apart.
TOLERANCES = {"float32": (1e-4, 1e-3, 1e-2), "bf16": (2e-2, 0.2, 0.5)}


@pytest.fixture(autouse=True)
def like_the_cpu(monkeypatch):
    """Let a GPU compute float32 in full, and draw on the CPU what it draws itself."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    cpu = torch.device("cpu")
    monkeypatch.setattr("uota.methods.cmc.draw", lambda images, shape, device: draw(images, shape, cpu).to(device))


def taken(training: Training, precision: str) -> tuple[float, Tensor, Tensor]:
    """Loss, weights and all gradients of a step, as vectors on the CPU."""
    module, device = training.module, training.views.index.device.type
    module.on_train_batch_start(training.views, 0)
    with torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext():
        output = module.training_step(training.views, 0)
    output["loss"].backward()
    gradients = [each.grad.flatten().float().cpu() for each in module.method.parameters() if each.grad is not None]
    return float(output["loss"].detach()), output["weights"].detach().float().cpu(), torch.cat(gradients)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize(("device", "method", "arbiter"), STEPS)
def test_a_step_is_that_of_the_cpu(device, method, arbiter, precision):
    steps = []
    for place, kind in (("cpu", "float32"), (device, precision)):
        training = training_of(method, place)
        training.judge_by(**ARBITERS[arbiter])
        steps.append(taken(training, kind))
    (loss, weights, gradients), (our_loss, our_weights, our_gradients) = steps
    of_loss, of_weights, of_gradients = TOLERANCES[precision]
    assert our_loss == pytest.approx(loss, abs=of_loss * max(abs(loss), 1))
    assert float((our_weights - weights).abs().mean()) <= of_weights
    assert float((our_gradients - gradients).norm()) <= of_gradients * float(gradients.norm())
    assert bool(gradients.any()) == (method != "random")


def assert_close(found: dict, expected: dict, tolerance: float) -> None:
    """Compare the tensors of two states."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(found[name], value, atol=tolerance, rtol=tolerance, msg=name)


ACCELERATOR = {"cpu": "cpu", "cuda": "gpu"}
DEVICES = pytest.mark.parametrize("device", ["cpu", GPU])


@DEVICES
def test_a_training_resumes_where_it_stopped(device, small, tmp_path):
    settings = small(accelerator=ACCELERATOR[device], precision="bf16", epochs=3)
    one, other = whole_and_resumed(settings, tmp_path)
    # A GPU adds numbers in an order of its own, so that two runs are never equal to the last bit.
    tolerance = {"cpu": 0.0, "cuda": 5e-2}[device]
    assert_close(other["state_dict"], one["state_dict"], tolerance)


@DEVICES
def test_a_checkpoint_loads_where_there_is_no_gpu(device, small, tmp_path):
    settings = small(accelerator=ACCELERATOR[device], epochs=1)
    run = pretrain(settings, tmp_path / "run", bar=False, lines=False)
    code = f"""
import torch
from pathlib import Path
from uota.commands.cli import main
from uota.runs.run import Run
from uota.training.setup import load_module
assert not torch.cuda.is_available()
run = Run(Path({str(run.folder)!r}))
module = load_module(run, run.settings())
assert all(x.device.type == "cpu" and x.isfinite().all() for x in module.state_dict().values() if torch.is_tensor(x))
assert main(["evaluate", "knn", str(run.folder)]) == 0
"""
    without = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = run_command([sys.executable, "-W", "ignore", "-c", code], env=without)
    assert done.returncode == 0, done.stderr


@DEVICES
def test_a_run_of_a_gpu_is_that_of_the_cpu(device, small, tmp_path):
    """A few steps in float32, with views made on the device, from the same draws."""
    runs = []
    for place in ("cpu", device):
        settings = small(accelerator=ACCELERATOR[place], views_on="device", epochs=1, workers=1)
        runs.append(pretrain(settings, tmp_path / f"{len(runs)}", bar=False, lines=False))
    one, other = (Run(run.folder).state()["state_dict"] for run in runs)
    assert_close(other, one, 2e-2)
