"""What the encoder can do before and after a training: kNN accuracy, or without labels retrieval of other views."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int64
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.data import Source
from uota.data.open import open_images, training_options
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.reading import read_json
from uota.settings.pretrain import Pretrain
from uota.training.device_views import views_made_on
from uota.training.neighbours import NEIGHBOURS, TEMPERATURE, cast_votes
from uota.views import ViewPipeline, evaluation_view
from uota.views.presets import preset_of

# At most so many images are encoded; fewer if they are larger than medium views, or large on disk.
IMAGES, MEDIUM_PIXELS, READ_PIXELS = 2000, 96 * 96, 10**9
# At least so many, however large.
FEWEST = 100
BATCH = 64
# An epoch that no training reaches, so that the views are not those of a step.
EPOCH = 10**6 + 1
TITLES = {"knn": "kNN", "retrieval": "retrieval of an image's other view"}


@dataclass(frozen=True)
class Comparison:
    """An encoder before and after its training.

    Attributes:
        kind: knn, the accuracy of classifying test images by training images; or retrieval, how often a view's nearest
            neighbour among the other views of all images is that of its own image.
        images: number of images that were classified, or whose views were searched.
        before: in per cent.
        after: in per cent; None: the training has not ended.
        steps: number of steps of the training.
    """

    kind: Literal["knn", "retrieval"]
    images: int
    before: float
    after: float | None = None
    steps: int = 0

    def line(self) -> str:
        """Return the line to show."""
        title = TITLES[self.kind]
        if self.after is None:
            return f"before training: {title} {self.before:.1f} % ({self.images} images)"
        after = f"after {self.steps} steps: {self.after:.1f} %"
        return f"before training: {title} {self.before:.1f} %, {after} ({self.images} images)"

    @property
    def is_loss(self) -> bool:
        """Whether the encoder has become worse."""
        return self.after is not None and self.after < self.before

    @property
    def is_within_chance(self) -> bool:
        """Whether before and after differ by less than the standard error of an accuracy on so many images."""
        share = self.before / 100
        error = 100 * (share * (1 - share) / self.images) ** 0.5
        return self.after is not None and abs(self.after - self.before) <= error


def read_comparison(file: Path) -> Comparison | None:
    """Read what has been measured of a run so far; None: nothing."""
    try:
        return Comparison(**read_json(file))
    except (OSError, TypeError, ValueError):  # there is none, or it is damaged
        return None


class Baseline(pl.Callback):
    """Measures the encoder before the first step and after the last, and writes and prints both.

    Args:
        settings: of the run, without `auto`.
        source: the images that it trains on.
        file: to write; what it holds is not measured again.
        total_steps: number of steps of the whole run.
        quiet: print no lines.
    """

    def __init__(self, settings: Pretrain, source: Source, file: Path, total_steps: int, quiet: bool = False) -> None:
        self.settings, self.source, self.file, self.total_steps = settings, source, file, total_steps
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Measure the encoder, unless the run is resumed."""
        wanted = trainer.strategy.broadcast(trainer.global_step == 0 and not self.file.exists())
        if wanted and (found := self._measure(trainer, module)):
            self._write(found)
            self.console.print(found.line())
        trainer.strategy.barrier()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Measure the encoder again."""
        before = trainer.strategy.broadcast(read_comparison(self.file))
        if before is not None and trainer.global_step >= self.total_steps:
            found = self._measure(trainer, module)
            if found is not None and found.kind == before.kind:
                self._write(replace(before, after=found.before, steps=self.total_steps))
        trainer.strategy.barrier()

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule) -> Comparison | None:
        """Measure the encoder on the first rank; ranks that share its weights compute together."""
        if not trainer.is_global_zero and self.settings.runtime.strategy != "fsdp2":
            return None
        found = measure(module.get_submodule("method.encoder"), self.source, self.settings)
        return found if trainer.is_global_zero else None

    def _write(self, found: Comparison) -> None:
        write_text_atomically(self.file, json.dumps(asdict(found), indent=1))


def measure(encoder: nn.Module, source: Source, settings: Pretrain) -> Comparison | None:
    """Measure kNN accuracy if training and test images have labels, else retrieval; None: neither is possible.

    Args:
        encoder: images to features.
        source: training images.
        settings: of the run.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        return _knn_if_possible(encoder, source.files, settings) or _retrieval(encoder, source, settings)
    finally:
        encoder.train(was_training)


def _knn_if_possible(encoder: nn.Module, train: Source, settings: Pretrain) -> Comparison | None:
    try:
        return _knn(encoder, train, settings)
    except UotaError:  # there are no test images, or none can be read
        return None


def _knn(encoder: nn.Module, train: Source, settings: Pretrain) -> Comparison | None:
    preset = preset_of(settings)
    test = open_images(settings.data.source, settings.views.preset, "test", training_options(settings))
    chosen = [
        _labelled(part, affordable_images(part, preset.evaluation_size, share), settings.runtime.seed)
        for part, share in ((train, 0.75), (test, 0.25))
    ]
    if not len(chosen[1]) or len(chosen[0]) <= NEIGHBOURS or test.path(0) == train.path(0) is not None:
        return None

    def encoded(part: Source, places: list[int]) -> Tensor:
        starts = range(0, len(places), BATCH)
        images = (evaluation_view(part.images(places[start : start + BATCH]), preset) for start in starts)
        return torch.cat([encode(encoder, batch) for batch in images])

    (bank, known), (queries, asked) = (
        (encoded(part, places), _labels(part)[places]) for part, places in zip((train, test), chosen, strict=True)
    )
    if len(known.unique()) < 2:
        return None
    return Comparison("knn", len(asked), knn_top1(bank, known, queries, asked))


def _retrieval(encoder: nn.Module, source: Source, settings: Pretrain) -> Comparison | None:
    preset = preset_of(settings)
    if preset.sizes[0].grid:  # the views of an image are cells of one crop
        return None
    pipeline = ViewPipeline(preset.with_counts([2, *[0] * (len(preset.sizes) - 1)]), settings.runtime.seed)
    places = _random(
        np.arange(len(source)), affordable_images(source, preset.sizes[0].size, 0.25), settings.runtime.seed
    )
    device = next(encoder.parameters()).device
    made = [
        views_made_on(device, pipeline, source, [(EPOCH, place) for place in places[start : start + BATCH]]).by_size[0]
        for start in range(0, len(places), BATCH)
    ]
    first, second = (torch.cat([encode(encoder, views[side]) for views in made]) for side in (0, 1))
    return Comparison("retrieval", len(places), retrieval_top1(first, second)) if len(places) > 1 else None


def knn_top1(
    bank: Float[Tensor, "images dim"],
    known: Int64[Tensor, " images"],
    queries: Float[Tensor, "queries dim"],
    asked: Int64[Tensor, " queries"],
) -> float:
    """Return the accuracy in per cent of classifying queries by the votes of their nearest images."""
    values, dense = known.unique(return_inverse=True)
    similarity = normalize(queries, dim=1) @ normalize(bank, dim=1).T
    votes = cast_votes(similarity, dense, len(values), min(NEIGHBOURS, len(known)), TEMPERATURE)
    return 100 * float((values[votes.argmax(1)] == asked).float().mean())


def retrieval_top1(first: Float[Tensor, "images dim"], second: Float[Tensor, "images dim"]) -> float:
    """Return how often, in per cent, a view is nearest to the other view of its own image, in both directions."""
    similarity = normalize(first, dim=1) @ normalize(second, dim=1).T
    own = torch.arange(len(first))
    found = [each.argmax(1) == own for each in (similarity, similarity.T)]
    return 100 * float(torch.stack(found).float().mean())


@torch.no_grad()
def encode(encoder: nn.Module, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch dim"]:
    """Compute the features of images on the encoder's device, in whatever mode it is."""
    like = next(encoder.parameters())
    images = images.to(like.device, like.dtype)  # not like `like`, which may be a part of a weight that ranks share
    return encoder(images.contiguous(memory_format=torch.channels_last)).float().cpu()


def affordable_images(source: Source, side: int, share: float) -> int:
    """Return the number of images, of this share of all, that are read and encoded in some seconds."""
    files = source.files
    places = np.linspace(0, len(files) - 1, min(3, len(files))).astype(int).tolist()
    area = max(image[0].numel() for image in files.images(places))
    most = min(IMAGES, IMAGES * MEDIUM_PIXELS / side**2, READ_PIXELS / area)
    return int(share * max(FEWEST, most))


def _labelled(source: Source, at_most: int, seed: int) -> list[int]:
    return _random(np.flatnonzero(_labels(source).numpy() >= 0), at_most, seed)


def _labels(source: Source) -> Int64[Tensor, " images"]:
    return torch.full((len(source),), -1) if source.labels is None else source.labels


def _random(places: Sequence[int] | np.ndarray, at_most: int, seed: int) -> list[int]:
    """Return some of these places, in order."""
    return sorted(np.random.default_rng(seed).permutation(places)[:at_most].tolist())
