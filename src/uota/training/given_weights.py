"""What a run does with weights that its encoder starts from: adapt their batch norms, and keep a share of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uota.data import Source
from uota.encoders.momentum import MomentumCopy
from uota.settings.pretrain import Pretrain
from uota.training.baseline import affordable_images, encode
from uota.views import ViewPreset, evaluation_view
from uota.views.presets import preset_of

BATCH = 64
# Share of the images that the baseline may look at, which batch norms look at.
LOOKED_AT = 0.5


class GivenWeights(pl.Callback):
    """Adapts the encoder before the first step, and averages it with what it was then after the last.

    Before the first step, the statistics of batch norms become a mixture of the given ones and those of the images that
    the run trains on (AdaBN: Li et al., *Revisiting Batch Normalization for Practical Domain Adaptation*, 2017, who
    replace them). After the last, all weights become a mixture of those before the first step and the trained ones
    (WiSE-FT: Wortsman et al., *Robust Fine-Tuning of Zero-Shot Models*, CVPR 2022, equation 1).

    Args:
        settings: of the run, without `auto`.
        source: the images that it trains on.
        total_steps: number of steps of the whole run.
    """

    def __init__(self, settings: Pretrain, source: Source, total_steps: int) -> None:
        self.adaptation = settings.method.norm_adaptation or 0.0
        self.kept = settings.optimization.kept_share or 0.0
        self.source, self.preset, self.seed = source, preset_of(settings), settings.runtime.seed
        self.total_steps = total_steps
        self.start: dict[str, Tensor] = {}
        self.is_adapted = False

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: the weights before the first step, and that they are adapted."""
        return {"start": self.start, "is_adapted": self.is_adapted}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an interrupted run knew."""
        self.start, self.is_adapted = state_dict["start"], state_dict["is_adapted"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Adapt the encoder and its momentum copies, and note their weights, unless the run is resumed.

        A run that was stopped before its first step is resumed at step 0 with adapted weights.
        """
        if self.is_adapted:
            return
        self.is_adapted = True
        encoder = module.get_submodule("method.encoder")
        if self.adaptation and len(self.source.files) > 1:
            batches = random_batches(self.source, self.preset, self.seed)
            adapt_norms(encoder, self.source.files, batches, self.preset, self.adaptation)
            for part in module.modules():
                if isinstance(part, MomentumCopy):
                    part.encoder.load_state_dict(encoder.state_dict())
        if self.kept:
            self.start = {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Average the encoder after the last step, before it is saved."""
        if self.start and trainer.global_step >= self.total_steps:
            mix(module.get_submodule("method.encoder"), self.start, self.kept)
            self.start = {}


def random_batches(source: Source, preset: ViewPreset, seed: int) -> list[list[int]]:
    """Return indices of as many random images as are read and encoded in some seconds, in even batches."""
    most = affordable_images(source, preset.evaluation_size, LOOKED_AT)
    # In random order: a folder's own goes from class to class, and then each batch has the statistics of one class.
    places = np.random.default_rng(seed).permutation(len(source.files))[:most]
    return [batch.tolist() for batch in np.array_split(places, -(-len(places) // BATCH))]


@torch.no_grad()
def adapt_norms(encoder: nn.Module, source: Source, batches: list[list[int]], preset: ViewPreset, share: float) -> None:
    """Move the statistics of all batch norms towards those of images.

    Args:
        encoder: network whose batch norms are changed.
        source: single images.
        batches: indices of those to compute statistics of, each in its evaluation view.
        preset: of views.
        share: of the images' statistics in the new ones.
    """
    given = {name: value.clone() for name, value in encoder.state_dict().items()}
    with _averaging(encoder):
        for places in batches:
            encode(encoder, evaluation_view(source.images(places), preset))
    mix(encoder, given, 1 - share)


@contextmanager
def _averaging(encoder: nn.Module) -> Iterator[None]:
    """Have batch norms compute means over batches, while everything else is as in an evaluation."""
    norms = [module for module in encoder.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta, was_training = [norm.momentum for norm in norms], encoder.training
    encoder.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.training = True
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        encoder.train(was_training)


@torch.no_grad()
def mix(encoder: nn.Module, other: Mapping[str, Tensor], share: float) -> None:
    """Replace weights and statistics by their weighted mean with others; counts are taken from the others.

    Args:
        encoder: network to change.
        other: state of a network of the same kind.
        share: of the others in the mean.
    """
    for name, value in encoder.state_dict().items():
        given = other[name].to(value.device)
        value.copy_(torch.lerp(value, given, share) if value.is_floating_point() else given)
