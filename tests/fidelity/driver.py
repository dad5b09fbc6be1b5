"""Train a method with Lightning as `uota pretrain` does, on fixed batches in float64, to compare trajectories."""

from dataclasses import fields

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from uota.recipes import recipe
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.training.trainer import ignore_expected_warnings
from uota.views import Views
from uota.views.parameters import ViewParameters

BATCH, STEPS = 8, 30
DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


def shortened(name: str, **changes) -> Pretrain:
    """Shorten a recipe to 30 steps of 8 images, in the number of epochs that `changes` give, with the same schedule."""
    return recipe(name).replace_flat(batch_size=BATCH, devices=1, accelerator="cpu", precision="64", **changes)


def batches(sizes: list[tuple[int, int]], channels: int = 3, steps: int = STEPS, images: int = BATCH) -> list[Views]:
    """Return random views: for each size (count, pixels) a tensor (count, images, channels, pixels, pixels)."""
    random = torch.Generator().manual_seed(7)
    shapes = [(count, images, channels, pixels, pixels) for count, pixels in sizes]
    return [
        views([torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes], step * images)
        for step in range(steps)
    ]


def views(groups: list[torch.Tensor], first: int = 0) -> Views:
    """Wrap pixels as views; apart from them, only the index and the labels (the index modulo 4) are meaningful."""
    count, images = sum(len(group) for group in groups), groups[0].shape[1]
    parameters = ViewParameters(*(_nothing(field.type, count, images) for field in fields(ViewParameters)))
    index = first + torch.arange(images)
    return Views(groups, parameters, index, None, index % 4)


def _nothing(kind, *shape: int) -> torch.Tensor:
    """Return zeros of an annotated type and shape."""
    rest = [int(size) for size in kind.dim_str.split()[2:]]
    dtype = next(each for name, each in DTYPES.items() if name in kind.dtypes)
    return torch.zeros(*shape, *rest, dtype=dtype)


class Recorder(pl.Callback):
    """Record the loss and the learning rates of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[list[float]] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index):
        self.losses.append(float(outputs["loss"]))
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


def train(method, settings: Pretrain, data: list[Views], folder, arbiter=None) -> Recorder:
    """Train a method in place on these batches in order, for the number of epochs in the settings."""
    recorder = Recorder()
    assert settings.optimization.epochs is not None
    module = Pretraining(method, arbiter, None, settings, STEPS, STEPS // settings.optimization.epochs)
    assert len(data) == STEPS, "give a batch for every step"
    assert STEPS % settings.optimization.epochs == 0, "choose a number of epochs that divides the steps"
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=[recorder],
        max_epochs=1,
        limit_train_batches=STEPS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        precision="64-true",
        default_root_dir=folder,
    )
    with ignore_expected_warnings():
        trainer.fit(module, DataLoader(data, batch_size=None, shuffle=False))
    return recorder


def assert_same(ours: torch.nn.Module, theirs: dict[str, torch.Tensor], tolerance: float = 1e-9) -> None:
    """Assert that the reference has all parameters and buffers except counters, and that they are equal."""
    state = {name: value for name, value in ours.state_dict().items() if value.is_floating_point()}
    assert state.keys() == theirs.keys(), sorted(state.keys() ^ theirs.keys())
    for name, value in theirs.items():
        torch.testing.assert_close(
            state[name], value, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
