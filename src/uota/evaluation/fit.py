"""Train a classifier by Lightning's Trainer: with a bar, a checkpoint to go on from, and all of it by the seed."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities import rank_zero_only

from uota.console import printable
from uota.data import Source
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.evaluation.classifier import Classifier
from uota.evaluation.features import WholeImages
from uota.io.atomic import write_text_atomically
from uota.runs.checkpoints import checkpoint_before, find_whole_checkpoint
from uota.settings.ranges import check_multiple
from uota.training.batches import GlobalBatches, ViewsOfRank, test_loader
from uota.training.checkpoints import Checkpoints
from uota.training.resolve import VIEWS_OF
from uota.training.resuming import translate_restore_errors
from uota.training.signals import raise_if_stopped
from uota.training.trainer import (
    hold_by_first,
    ignore_expected_warnings,
    make_trainer,
    translate_stops,
)
from uota.views import ViewDataset, ViewPipeline, ViewPreset, ViewSizePreset
from uota.views.presets import ALIASED, EvaluationLike

CHECKPOINT_EVERY = 200
TEST_BATCH = 256


@dataclass
class Plan:
    """Which images a training sees, how they are cropped, and where it runs.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step, over all devices.
        smallest_crop: share of the image's area that a training crop has at least.
        images_like: whose cropping and resizing is followed.
        seed: of crops and order.
        workers: processes that load images; None: as many as are useful.
        accelerator: auto, cpu, gpu, …
        devices: processes that share the batch.
    """

    epochs: int
    batch_size: int
    smallest_crop: float
    images_like: EvaluationLike
    seed: int
    workers: int | None
    accelerator: str
    devices: int

    def __post_init__(self) -> None:
        check_multiple(self)

    def views(self, preset: ViewPreset) -> ViewPreset:
        """One mirrored random crop of each image, and whole images, of the size and statistics of an encoder's preset.

        Presets of small images shrink whole ones to a square; theirs are cut and resized as torchvision does.
        """
        like = self.images_like if preset.evaluation_resize else "torchvision"
        crops = ViewSizePreset(
            1,
            preset.evaluation_size,
            (self.smallest_crop, 1.0),
            jitter_probability=0.0,
            interpolation="bilinear" if like == "torchvision" else ALIASED,
            crop_like=like,
        )
        return replace(preset, sizes=(crops,), evaluation_like=like)


def epoch_steps_and_batch(images: int, plan: Plan) -> tuple[int, int]:
    """Steps in an epoch, and images in a batch: fewer than `batch_size` where there are not that many images."""
    batches = GlobalBatches(images, plan.batch_size, plan.seed, 0, plan.devices, int)
    return len(batches), batches.local_size * plan.devices


def fit(
    classifier: Classifier,
    train: Source,
    test: Source,
    preset: ViewPreset,
    plan: Plan,
    folder: Path,
    bar: bool = True,
) -> None:
    """Train, and count hits on the test images; what was interrupted goes on from the folder's checkpoint.

    Args:
        classifier: trained in place.
        train, test: labelled images.
        preset: how large images are, and how they are normalised.
        plan: of the training.
        folder: of the checkpoint and the log.
        bar: show a progress bar.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the folder cannot be written, or another process is at work in it.
    """
    checkpoints = Checkpoints(folder / "checkpoint.ckpt", CHECKPOINT_EVERY)
    trainer = _trainer(plan, folder, checkpoints, bar)
    with hold_by_first(folder):
        start = _prepare(folder, checkpoints.path, _identity(classifier, train, preset, plan))
        _fit(trainer, classifier, train, test, preset, plan, folder, start)
        _remove(checkpoints.path)


def _fit(
    trainer: pl.Trainer,
    classifier: Classifier,
    train: Source,
    test: Source,
    preset: ViewPreset,
    plan: Plan,
    folder: Path,
    start: Path | None,
) -> None:
    if plan.devices > 1:
        with_sync_batch_norm(classifier.encoder)
    preset = plan.views(preset)
    pipeline = ViewPipeline(preset, plan.seed)
    in_memory = train.name in VIEWS_OF
    loader = ViewsOfRank(plan, ViewDataset(train, pipeline), in_memory)
    again = "run the same command again to go on from there"
    with ignore_expected_warnings(".*No positive `max_epochs`.*"), translate_stops(trainer, folder, again):
        with translate_restore_errors(trainer, start):
            trainer.fit(classifier, loader, ckpt_path=start, weights_only=True)
        raise_if_stopped()
        images = WholeImages(test, preset)
        whole = test_loader(images, TEST_BATCH, plan.workers, test.name in VIEWS_OF, trainer)
        trainer.test(classifier, whole, verbose=False)


@rank_zero_only
def _remove(checkpoint: Path) -> None:
    for path in (checkpoint, checkpoint_before(checkpoint)):
        path.unlink(missing_ok=True)


def _identity(classifier: Classifier, train: Source, preset: ViewPreset, plan: Plan) -> str:
    """A digest of all that the outcome follows from: only with the same may a checkpoint be gone on from.

    How many processes load images is none of it: fewer of them is what helps where one of them died.
    """
    digest = hashlib.sha256(repr((replace(plan, workers=None), classifier.how, preset, train.name)).encode())
    for tensor in (*classifier.state_dict().values(), train.labels):
        assert tensor is not None
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _prepare(folder: Path, checkpoint: Path, identity: str) -> Path | None:
    """The folder's checkpoint of the same training, if there is one; of another, it is thrown away."""
    identity_file = folder / "identity.json"
    before = identity_file.read_text(encoding="utf-8", errors="replace") if identity_file.is_file() else None
    same = before == json.dumps(identity)
    if same and (start := find_whole_checkpoint(checkpoint)):
        rank_zero_only(print)(f"going on from {printable(start)}; remove it to begin anew")
        return start
    _remove(checkpoint)
    rank_zero_only(write_text_atomically)(identity_file, json.dumps(identity))
    return None


def _trainer(plan: Plan, folder: Path, checkpoints: Checkpoints, bar: bool) -> pl.Trainer:
    return make_trainer(
        folder,
        [checkpoints],
        bar,
        accelerator=plan.accelerator,
        devices=plan.devices,
        max_epochs=plan.epochs,
        logger=CSVLogger(folder, name="logs"),
    )
