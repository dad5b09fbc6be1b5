"""Train a classifier by Lightning's Trainer: with a bar, a checkpoint to go on from, and all of it by the seed."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from uota.data import Source
from uota.errors import UotaError
from uota.evaluation.classifier import Classifier
from uota.evaluation.features import WholeImages
from uota.nn.sync_batchnorm import synchronised
from uota.protocols import Finetune, LinearSGD
from uota.runs import write_atomically
from uota.training.batches import GlobalBatches, ViewsOfRank, of_rank, useful_workers
from uota.training.build import VIEWS_OF
from uota.training.checkpoints import Checkpoints
from uota.training.trainer import make_trainer, without_warnings_of_what_is_meant
from uota.views import GroupPreset, ViewDataset, ViewPipeline, ViewPreset, keep

CHECKPOINT_EVERY = 200
TEST_BATCH = 256


def steps_and_batch(images: int, settings: LinearSGD | Finetune) -> tuple[int, int]:
    """Steps of the whole training, and images in a batch, which are fewer where there are not as many."""
    batches = GlobalBatches(images, settings.batch_size, settings.seed, 0, settings.devices, int)
    return len(batches) * settings.epochs, batches.local_size * settings.devices


def fit(
    classifier: Classifier,
    train: Source,
    test: Source,
    preset: ViewPreset,
    settings: LinearSGD | Finetune,
    folder: Path,
    bar: bool = True,
) -> None:
    """Train, and count hits on the test images; what was interrupted goes on from the folder's checkpoint.

    Args:
        classifier: trained in place.
        train, test: labelled images.
        preset: how large images are, and how they are normalised.
        settings: of the protocol.
        folder: of the checkpoint and the log.
        bar: show a progress bar.

    Raises:
        UotaError: Ctrl-C, or the folder cannot be written.
    """
    checkpoint = folder / "checkpoint.ckpt"
    goes_on = _prepare(folder, checkpoint, _identity(classifier, train, preset, settings))
    checkpoints = Checkpoints(checkpoint, CHECKPOINT_EVERY)
    trainer = _trainer(settings, folder, checkpoints, bar)
    if settings.devices > 1:
        synchronised(classifier.encoder)
    crops = GroupPreset(1, preset.evaluation_size, (settings.smallest_crop, 1.0), jitter_probability=0.0)
    pipeline = ViewPipeline(replace(preset, groups=(crops,)), settings.seed)
    in_memory = train.name in VIEWS_OF
    loader = ViewsOfRank(settings, ViewDataset(train, pipeline), in_memory)
    with without_warnings_of_what_is_meant(".*No positive `max_epochs`.*"):
        try:
            trainer.fit(classifier, loader, ckpt_path=str(checkpoint) if goes_on else None, weights_only=True)
            if checkpoints.interrupted:
                raise UotaError(f"stopped at step {trainer.global_step}; the same command goes on from there")
            trainer.test(classifier, _whole_images(test, preset, settings, trainer), verbose=False)
        except OSError as error:
            raise UotaError(
                f"training stopped: {error}; make room in {folder}, then the same command goes on"
            ) from error
    _remove(checkpoint)


def _whole_images(
    test: Source, preset: ViewPreset, settings: LinearSGD | Finetune, trainer: pl.Trainer
) -> DataLoader[Any]:
    return DataLoader(
        WholeImages(test, preset),
        batch_size=TEST_BATCH,
        sampler=of_rank(len(test), trainer.global_rank, trainer.world_size),
        num_workers=useful_workers(settings.workers, test.name in VIEWS_OF, trainer.world_size),
        collate_fn=keep,
    )


@rank_zero_only
def _remove(checkpoint: Path) -> None:
    checkpoint.unlink(missing_ok=True)


def _identity(classifier: Classifier, train: Source, preset: ViewPreset, settings: LinearSGD | Finetune) -> str:
    """A digest of all that the outcome follows from: only with the same may a checkpoint be gone on from."""
    digest = hashlib.sha256(repr((settings, classifier.sgd, preset, train.name)).encode())
    for tensor in (*classifier.state_dict().values(), train.labels):
        assert tensor is not None
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _prepare(folder: Path, checkpoint: Path, identity: str) -> bool:
    """Whether the folder has a checkpoint of the same training; one of another is thrown away."""
    identity_file = folder / "identity.json"
    same = identity_file.is_file() and identity_file.read_text() == json.dumps(identity)
    if same and checkpoint.is_file():
        rank_zero_only(print)(f"going on from {checkpoint}; remove it to begin anew")
        return True
    _remove(checkpoint)
    rank_zero_only(write_atomically)(identity_file, json.dumps(identity))
    return False


def _trainer(settings: LinearSGD | Finetune, folder: Path, checkpoints: Checkpoints, bar: bool) -> pl.Trainer:
    try:
        return make_trainer(
            folder,
            [checkpoints],
            bar,
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy="ddp" if settings.devices > 1 else "auto",
            max_epochs=settings.epochs,
            logger=CSVLogger(folder, name="logs"),
        )
    except (ValueError, MisconfigurationException) as error:
        raise UotaError(f"accelerator {settings.accelerator!r} cannot be used: {error}; choose auto") from error
