"""What a run starts from, and how long and how fast it then trains, where the settings leave that open."""

import logging
import os
import shlex
from typing import Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning.utilities import rank_zero_only

from uota.console import printable
from uota.data import Source
from uota.encoders.encoder import SMALL_IMAGE
from uota.encoders.pretrained import NETWORK, PRETRAINED
from uota.methods import Card
from uota.runs.initial import RANDOM, InitialWeights
from uota.settings.pretrain import BATCH_FROM_RANDOM, RATE_FROM_RANDOM, Pretrain
from uota.views import ViewPreset, find_preset
from uota.views.presets import GROUPS

logger = logging.getLogger(__name__)

# With an accelerator, as many images are enough to train from random weights.
MANY_IMAGES = 100_000
# Images that are looked at to find out how large they are.
LOOKED_AT = 9
# Length of a run from random weights, in passes over the images.
EPOCHS = 12
# From given weights: images per step, peak learning rate, and that of the encoder relative to it.
BATCH_SIZE, LEARNING_RATE, ENCODER_RATE = 64, 1e-3, 0.2
# Share of the images' statistics in batch norms at the start, and of the given weights in the encoder at the end, which
# without these has lost some kNN on stamps and drawings. What all of this gains together is in docs/init.md.
NORM_ADAPTATION, KEPT_SHARE = 0.5, 0.7
# Of groups, whose views are images of their own, less is kept: the encoder learns more than to undo augmentations.
KEPT_SHARE_OF_GROUPS = 0.35
# Longer runs move so far from the given weights that a mean of both is no good encoder.
NEAR = 1000
# Stages of the installed network that are frozen without an accelerator: a step takes half as long.
FROZEN_STAGES = 3
# Steps from given weights, by number of cores: some minutes with the default views. In trials, 90 gained no more than
# 60.
STEPS = {1: 40, 2: 60, 4: 120}
# Fewest groups in which files are re-filed, as a verdict rests on a comparison with others.
FEWEST_GROUPS = 6
# Of 641 images each of three runs gained, of fewer nothing was tried.
FEW_IMAGES = 500


class Choice(NamedTuple):
    """A setting that was left to the package, and what it became.

    Attributes:
        name: name of the setting, as a flat flag.
        value: the value chosen.
        reason: reason to show to the user.
    """

    name: str
    value: Any
    reason: str


FROZEN = Choice("frozen_stages", FROZEN_STAGES, "no accelerator")


def choose_init(settings: Pretrain, source: Source, card: Card) -> Choice:
    """Choose the weights that the encoder of a run starts from, if the settings leave that open.

    Args:
        settings: of the run.
        source: its images.
        card: of its method.
    """
    if settings.method.backbone != "auto":
        return Choice("init", RANDOM, "a backbone is given")
    if not card.takes_weights:
        return Choice("init", RANDOM, f"method {card.title}")
    if source.channels != 3:
        return Choice("init", RANDOM, "grey images")
    if torch.cuda.is_available() and len(source) >= MANY_IMAGES:
        return Choice("init", RANDOM, f"{len(source)} images and an accelerator")
    return _init_by_size(settings, source)


def _init_by_size(settings: Pretrain, source: Source) -> Choice:
    views = settings.views
    is_open = views.preset in ("auto", GROUPS)
    if is_open and source.default_views:
        return Choice("init", RANDOM, f"views made for {printable(source.name)}")
    if views.sides or not is_open:
        side = views.sides[0] if views.sides else find_preset(views.preset).sizes[0].size
        shown = f"views of {side} pixels"
    else:
        side = median_side(source)
        shown = f"images of {side} pixels"
    return Choice("init", PRETRAINED if side >= SMALL_IMAGE else RANDOM, shown)


def median_side(source: Source) -> int:
    """Return the median short side of some of the images, in pixels."""
    places = np.linspace(0, len(source.files) - 1, min(LOOKED_AT, len(source.files))).astype(int)
    return int(np.median([min(image.shape[1:]) for image in source.files.images(places.tolist())]))


def choices_of_weights(found: InitialWeights, preset: ViewPreset) -> list[Choice]:
    """Return the settings that follow from given weights.

    Args:
        found: the weights.
        preset: of views, with their own statistics.
    """
    return [
        Choice("backbone", found.backbone, "that of the initial weights"),
        Choice("mean", list(found.mean or preset.mean), "as the initial weights were trained"),
        Choice("std", list(found.std or preset.std), "as the initial weights were trained"),
        Choice("batch_size", 128 if torch.cuda.is_available() else BATCH_SIZE, "from given weights"),
        Choice("learning_rate", LEARNING_RATE, "from given weights"),
        Choice("encoder_rate", ENCODER_RATE, "from given weights"),
        Choice("frozen_norms", True, "from given weights"),
        Choice("norm_adaptation", NORM_ADAPTATION, "from given weights"),
        *([] if torch.cuda.is_available() or found.backbone != NETWORK else [FROZEN]),
    ]


def choices_of_random(preset: ViewPreset) -> list[Choice]:
    """Return the settings that follow from random weights."""
    side = preset.sizes[0].size
    return [
        Choice("backbone", "tiny" if side <= SMALL_IMAGE else "resnet50", f"views of {side} pixels"),
        Choice("batch_size", BATCH_FROM_RANDOM, "from random weights"),
        Choice("learning_rate", RATE_FROM_RANDOM, "from random weights"),
    ]


def choose_length(settings: Pretrain, images: int) -> list[Choice]:
    """Choose the length of a run for which neither epochs nor steps are given; none if one is.

    Args:
        settings: of the run, with its batch size and initial weights.
        images: number of its images.
    """
    own = settings.optimization
    if own.steps is not None or own.epochs is not None:
        return []
    if settings.method.init == RANDOM:
        return [Choice("epochs", EPOCHS, "the default length")]
    cores = 1 if settings.runtime.threads == 1 else os.cpu_count() or 1
    fitting = max(steps for least, steps in STEPS.items() if least <= cores)
    if torch.cuda.is_available() and own.batch_size is not None:
        fitting = max(fitting, EPOCHS * images // own.batch_size)
    return [Choice("steps", fitting, f"{images} images and {cores} cores")]


def choose_kept_share(asked: Pretrain, settings: Pretrain, source: Source) -> list[Choice]:
    """Choose how much of the given weights is kept; nothing if a run may move far from them.

    Args:
        asked: settings as they were given.
        settings: the same with everything else chosen.
        source: images of the run, or groups.
    """
    own = asked.optimization
    if settings.method.init == RANDOM or own.learning_rate is not None or own.encoder_rate is not None:
        return []
    epoch_steps = -(-len(source) // settings.optimization.batch)
    if settings.optimization.total_steps(epoch_steps) > NEAR:
        return []
    share = KEPT_SHARE_OF_GROUPS if source.unit == "group" else KEPT_SHARE
    return [Choice("kept_share", share, "a short run from given weights")]


def choose_refile(settings: Pretrain, source: Source) -> list[Choice]:
    """Choose whether misfiled files of groups are re-filed; nothing if there are no groups.

    Args:
        settings: of the run, with its length.
        source: images of the run, or groups.
    """
    if source.unit != "group":
        return []
    if settings.method.init == RANDOM:
        return [Choice("refile", False, "random weights tell no files apart")]
    if len(source) < FEWEST_GROUPS:
        return [Choice("refile", False, f"fewer than {FEWEST_GROUPS} groups")]
    epoch_steps = max(1, len(source) // settings.optimization.batch)
    samples = settings.optimization.total_steps(epoch_steps) * settings.optimization.batch
    if samples < len(source.files):
        return [Choice("refile", False, "three looks at all files would take longer than so short a run")]
    return [Choice("refile", True, "groups, from given weights")]


@rank_zero_only
def warn_few(settings: Pretrain, source: Source) -> None:
    """Say if the images are too few for training to improve on the weights that it starts from."""
    if settings.method.init != RANDOM and len(source.files) < FEW_IMAGES:
        init, data = (shlex.quote(printable(each)) for each in (settings.method.init, settings.data.source))
        logger.info(
            f"{len(source.files)} images are few: training may not improve on the weights that it starts from; to use "
            f"those as they are: uota embed {init} --data {data} --out embeddings.csv"
        )
