"""The trial at the start of a run with frozen eyes: they are fitted to views, and injection chooses the arbiter."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration import Contrast
from uota.arbitration.candidates import frozen_candidates, select_in_two_stages, with_heads
from uota.arbitration.projection import fit_projection
from uota.arbitration.selection import MIN_IMAGES, Candidate
from uota.data import Source
from uota.distributed import on_this_rank
from uota.encoders.eyes import FrozenFeatures
from uota.settings.pretrain import CHOSEN, Pretrain
from uota.training.arbiter_choice import ArbiterChoice, write_choice
from uota.training.baseline import affordable_images
from uota.training.device_views import views_made_on
from uota.training.module import Pretraining
from uota.views import ViewPipeline

logger = logging.getLogger(__name__)

# An epoch that no training reaches, so that the views are not those of a step.
EPOCH = 10**6 + 2
BATCH = 64
# At most so many images, and this share of those that are encoded in some seconds. With default views the trial takes
# about ten seconds on one core.
IMAGES, SHARE = 256, 0.25
# Training steps of the one head that is tried; each more costs as much as the comparison of all other candidates.
STEPS = (25,)


class ArbiterTrial(pl.Callback):
    """Fits a run's frozen eyes before the first step, on the first rank, and writes down what was chosen.

    A resumed run has its choice and its fitted eyes already.

    Args:
        source: images of the run.
        pipeline: makes their views.
        file: to write.
    """

    def __init__(self, source: Source, pipeline: ViewPipeline, file: Path) -> None:
        self.source, self.pipeline, self.file = source, pipeline, file

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Fit the eyes, before the module is distributed and its checkpoint restored."""
        assert isinstance(module, Pretraining)
        if module.eyes is None or module.eyes.projection is not None:
            return
        made: Any = None
        if trainer.is_global_zero:
            module.eyes.to(trainer.strategy.root_device)
            with on_this_rank():
                made = fit_eyes(module.eyes.frozen, module.settings, self.source, self.pipeline)
            write_choice(made[0], self.file)
            log_choice(made[0])
        choice, state = trainer.strategy.broadcast(made)
        module.take_choice(choice, state)


def fit_eyes(
    eyes: FrozenFeatures, settings: Pretrain, source: Source, pipeline: ViewPipeline
) -> tuple[ArbiterChoice, dict[str, Tensor]]:
    """Fit frozen eyes to views of some images, and if the settings leave it open, choose the arbiter.

    Args:
        eyes: the eyes.
        settings: of the run, without `auto`.
        source: its images.
        pipeline: makes their views.

    Returns:
        What was chosen, and the state of the projection.
    """
    features, seed = _look(eyes, source, pipeline), settings.runtime.seed
    candidates, found = frozen_candidates(), {}
    best = candidates[0]
    if settings.arbitration.arbiter == CHOSEN and next(iter(features.values())).shape[1] >= MIN_IMAGES:
        selection = select_in_two_stages(candidates, _second, features, seed)
        best, found = selection.best, selection.found
    parts = [features[part] for part in best.parts]
    choice = ArbiterChoice(
        name=best.name,
        parts=list(best.parts),
        widths=[part.shape[-1] for part in parts],
        head_steps=best.steps,
        temperature=float(best.score.temperature) if isinstance(best.score, Contrast) else None,
        found=found,
    )
    return choice, dict(fit_projection(parts, best.steps, seed).state_dict())


def log_choice(choice: ArbiterChoice) -> None:
    """Say what the arbiter is and how well it did."""
    if choice.found:
        figure = choice.found[choice.name]
        logger.info(f"arbiter: {choice.name}; it finds exchanged views with average precision {figure:.2f}")


def _second(best: Candidate) -> list[Candidate]:
    return [best, *with_heads(best, STEPS)]


def _look(eyes: FrozenFeatures, source: Source, pipeline: ViewPipeline) -> dict[str, Float[Tensor, "views images _"]]:
    """Compute the features of the views of some random images where the eyes are, and return them on the CPU."""
    most = min(IMAGES, affordable_images(source, pipeline.preset.sizes[0].size, SHARE))
    places = np.random.default_rng(pipeline.seed).permutation(len(source))[:most].tolist()
    seen = []
    for start in range(0, len(places), BATCH):
        samples = [(EPOCH, place) for place in places[start : start + BATCH]]
        seen.append(eyes(views_made_on(eyes.scale.device, pipeline, source, samples).by_size))
    return {name: torch.cat([each[name] for each in seen], 1).cpu() for name in seen[0]}
