"""Half precision with a scaled loss, on the CPU: skipped steps change nothing else, and none are skipped for ever."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from tests.training.stepping import training_of
from torch import nn
from torch.amp import GradScaler

from uota.errors import UotaError
from uota.training.accelerators import check_precision
from uota.training.loss_scale import LossScale
from uota.training.module import Pretraining
from uota.training.trainer import ignore_expected_warnings


class Notes(pl.Callback):
    """Notes a weight after each step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, module, *_):
        self.weights.append(next(module.method.encoder.parameters()).detach().clone())


def trainer_of(scaler, tmp_path, *callbacks, steps=1):
    return pl.Trainer(
        accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)], callbacks=list(callbacks),
        max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip


def train(module, views, scale, steps, tmp_path):
    """Train in half precision with Lightning, and return the weights after each step and the last scale."""
    scaler, notes = GradScaler("cpu", init_scale=scale, backoff_factor=2.0**-50), Notes()
    with ignore_expected_warnings():
        trainer = trainer_of(scaler, tmp_path, LossScale(), notes, steps=steps)
        trainer.fit(module, torch.utils.data.DataLoader([views] * steps, batch_size=None))
    return notes.weights, scaler.get_scale()


@pytest.mark.parametrize("method", ["moco_v2", "byol", "swav"])
def test_a_skipped_step_changes_no_weights_and_does_not_stop_the_training(method, tmp_path):
    made = training_of(method, warmup=0.0)
    start = next(made.module.method.encoder.parameters()).detach().clone()
    weights, scale = train(made.module, made.views, 2.0**60, 3, tmp_path)
    skipped = [bool(torch.equal(start, each)) for each in weights]
    assert skipped[0]
    assert not skipped[-1]
    assert scale == 2.0**10
    for name, value in made.module.method.state_dict().items():
        assert bool(value.isfinite().all()), name


def test_gradients_that_always_overflow_end_the_training(tmp_path):
    made = training_of("simclr")
    made.module.method.encoder.backbone.stem[0].weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(UotaError, match="gradients overflow half precision at step 10, at any scale"):
        train(made.module, made.views, 16.0, 12, tmp_path)


@pytest.mark.parametrize("fused", [False, True])
def test_methods_change_gradients_without_the_scale(fused, tmp_path):
    """Lightning unscales them before, but not those of fused optimisers, which do it themselves."""
    module: Pretraining = training_of("cpc_v2", method_options={"clip": 1.0}).module
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 1.0, fused=fused)
    scaler = GradScaler("cpu", init_scale=1024.0)
    scaler.scale(layer(torch.ones(4, 3)).sum()).backward()
    if not fused:
        scaler.unscale_(optimizer)
    before = layer.weight.detach().clone()
    LossScale().on_before_optimizer_step(trainer_of(scaler, tmp_path), module, optimizer)
    torch.testing.assert_close(layer.weight.grad, torch.full((2, 3), 4.0))
    scaler.step(optimizer)
    torch.testing.assert_close(layer.weight, before - 4.0)


def test_half_precision_needs_a_gpu_of_nvidia(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name in ("auto", "cpu", "gpu"):
        with pytest.raises(UotaError, match=f"fp16, which needs an NVIDIA GPU, and accelerator is {name}; choose bf16"):
            check_precision("fp16", name)
    check_precision("bf16", "cpu")
