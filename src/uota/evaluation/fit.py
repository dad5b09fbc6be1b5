"""Training and testing of a classifier with Lightning's Trainer, resumable and determined by the seed."""

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
from uota.runs.checkpoints import find_intact_checkpoint, previous_checkpoint
from uota.settings.pretrain import ViewsOn
from uota.settings.ranges import check_multiple
from uota.training.batches import GlobalBatches, ViewsOfRank, test_loader
from uota.training.checkpoints import Checkpoints
from uota.training.resuming import translate_restore_errors
from uota.training.signals import raise_if_stopped
from uota.training.trainer import (
    Ranks,
    ignore_expected_warnings,
    lock_on_first_rank,
    make_trainer,
    translate_stops,
)
from uota.views import ViewDataset, ViewPipeline, ViewPreset, ViewSizePreset
from uota.views.view_preset import ALIASED, EvaluationLike

CHECKPOINT_EVERY = 200
TEST_BATCH = 256


@dataclass
class Plan:
    """The images of a training, their crops, and the devices it runs on.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step, over all devices.
        smallest_crop: smallest area of a training crop, as a share of the image's.
        images_like: library whose cropping and resizing is reproduced.
        seed: seed of the crops and the order of images.
        workers: number of processes that load images; None: chosen by the number of cores.
        accelerator: auto, cpu, gpu or another of Lightning's names.
        devices: number of processes of each node that share the batch.
        nodes: number of machines.
        views_on: where what follows the crop is done, as in pretraining.
    """

    epochs: int
    batch_size: int
    smallest_crop: float
    images_like: EvaluationLike
    seed: int
    workers: int | None
    accelerator: str
    devices: int
    views_on: ViewsOn
    nodes: int = 1

    def __post_init__(self) -> None:
        check_multiple(self.batch_size, self.devices, self.nodes)

    @property
    def ranks(self) -> Ranks:
        """The processes that share the batch; the layers that are trained are the same in every step."""
        return Ranks(self.devices, self.nodes, same_graph=True)

    def views(self, preset: ViewPreset) -> ViewPreset:
        """Adapt an encoder's preset to one randomly cropped and mirrored view per image, and to whole test images.

        Presets of small images resize whole images to a square; their crops follow torchvision.
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
    """Return the steps per epoch and the batch size, which is at most the number of images."""
    batches = GlobalBatches(images, plan.batch_size, plan.seed, 0, plan.ranks.together, int)
    return len(batches), batches.local_size * plan.ranks.together


def fit(
    classifier: Classifier,
    train: Source,
    test: Source,
    preset: ViewPreset,
    plan: Plan,
    folder: Path,
    bar: bool = True,
) -> None:
    """Train a classifier and test it; an interrupted training resumes from the folder's checkpoint.

    Args:
        classifier: classifier to train in place.
        train, test: labelled images.
        preset: size and normalisation of images.
        plan: images and devices of the training.
        folder: folder of the checkpoint and the log.
        bar: show a progress bar.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the folder cannot be written, or another process uses it.
    """
    checkpoints = Checkpoints(folder / "checkpoint.ckpt", CHECKPOINT_EVERY)
    trainer = _trainer(plan, folder, checkpoints, bar)
    with lock_on_first_rank(folder):
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
    if plan.ranks.together > 1:
        with_sync_batch_norm(classifier.encoder)
    preset = plan.views(preset)
    pipeline = ViewPipeline(preset, plan.seed)
    loader = ViewsOfRank(plan, ViewDataset(train, pipeline), train.in_memory, train.parts, plan.views_on)
    again = "run the same command again to resume from there"
    with ignore_expected_warnings(".*No positive `max_epochs`.*"), translate_stops(trainer, folder, again):
        with translate_restore_errors(trainer, start):
            trainer.fit(classifier, loader, ckpt_path=start, weights_only=True)
        raise_if_stopped()
        images = WholeImages(test, preset)
        whole = test_loader(images, TEST_BATCH, plan.workers, test.in_memory, trainer)
        trainer.test(classifier, whole, verbose=False)


@rank_zero_only
def _remove(checkpoint: Path) -> None:
    for path in (checkpoint, previous_checkpoint(checkpoint)):
        path.unlink(missing_ok=True)


def _identity(classifier: Classifier, train: Source, preset: ViewPreset, plan: Plan) -> str:
    """Return a digest of everything that determines the outcome; a checkpoint is resumed only if it has the same.

    The number of loading processes is not part of it, so that an interrupted training can be resumed with fewer.
    """
    digest = hashlib.sha256(repr((replace(plan, workers=None), classifier.settings, preset, train.name)).encode())
    for tensor in (*classifier.state_dict().values(), train.labels):
        assert tensor is not None
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _prepare(folder: Path, checkpoint: Path, identity: str) -> Path | None:
    """Return the folder's checkpoint if it is of the same training; otherwise remove it."""
    identity_file = folder / "identity.json"
    before = identity_file.read_text(encoding="utf-8", errors="replace") if identity_file.is_file() else None
    same = before == json.dumps(identity)
    if same and (start := find_intact_checkpoint(checkpoint)):
        rank_zero_only(print)(f"resuming from {printable(start)}; remove it to start over")
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
        ranks=plan.ranks,
        max_epochs=plan.epochs,
        logger=CSVLogger(folder, name="logs"),
    )
