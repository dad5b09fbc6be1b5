"""`transfer`: train a detector on an encoder with a COCO folder, and measure its average precision."""

import hashlib
import json
import logging
import shlex
from dataclasses import asdict, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only

from uota.data.open import folder_options
from uota.data.places import located, places_of
from uota.distributed import gather_objects, rank
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.io.outputs import check_writable_folder, path_of
from uota.io.reading import read_json
from uota.methods.own import method_flag
from uota.runs.checkpoints import find_resume_checkpoint
from uota.runs.encoder import LoadedEncoder, load_encoder
from uota.runs.folder import empty_folder, require_free
from uota.settings.evaluation import EncoderSpec
from uota.settings.parsing import settings_in_file
from uota.settings.ranges import count_ranks
from uota.settings.transfer import Task, Transfer
from uota.training.batches import GlobalBatches, ViewsOfRank, test_loader
from uota.training.checkpoints import Checkpoints
from uota.training.launch import resolve_devices
from uota.training.resuming import translate_restore_errors
from uota.training.signals import raise_if_stopped
from uota.training.trainer import (
    Ranks,
    build_loggers,
    ignore_expected_warnings,
    lock_on_first_rank,
    make_trainer,
    translate_stops,
)
from uota.transfer.annotations import Annotations, open_both
from uota.transfer.average_precision import Precision, average_precision
from uota.transfer.detectors import sizes_for, torchvision_detector
from uota.transfer.images import CocoImages, TrainingImages
from uota.transfer.module import Detection
from uota.transfer.precise_norms import PreciseNorms
from uota.transfer.published import published_detector, reset_scales
from uota.transfer.pyramid import Pyramid

logger = logging.getLogger(__name__)

TEST_BATCH = 8


class Job(NamedTuple):
    """The detector, the images and the length of a transfer.

    Attributes:
        module: the detector.
        train: images of the training part.
        val: images of the validation part.
        training: the images of `train` that have something to learn, with targets.
        epochs: passes over `training`, the last one possibly partial.
    """

    module: Detection
    train: CocoImages
    val: CocoImages
    training: TrainingImages
    epochs: int


def transfer(
    task: Task,
    origin: EncoderSpec,
    settings: Transfer | None = None,
    out: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    bar: bool = True,
) -> dict[str, Precision] | None:
    """Train a detector on an encoder and measure it; writes result.json, and detections.json in COCO's results format.

    Args:
        task: detection, segmentation or keypoints.
        origin: where the encoder comes from.
        settings: settings of the training; with `resume`, None or those that it was started with.
        out: output folder; None: a folder with the task's name within the run's.
        resume: continue from the folder's checkpoint.
        overwrite: replace the run in the folder.
        bar: show a progress bar.

    Returns:
        The precision by part: boxes, and masks or keypoints. None on all processes but the first.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the encoder, the data or the folder is unavailable, or the images are not those that the training was
            started with.
    """
    if not find_spec("pycocotools"):
        raise UotaError("pycocotools, which masks and average precision need, is missing; pip install 'uota[transfer]'")
    folder = _folder(task, origin, out)
    check_writable_folder(folder)
    asked = None if settings is None else _with_devices(settings)
    settings = _with_devices(_resumed_settings(folder, task, origin, asked) if resume else asked or Transfer())
    torch.manual_seed(settings.seed)
    found = load_encoder(origin, untrained=settings.from_scratch)
    job = _build(task, found, settings)
    trainer, checkpoints = _trainer(job, settings, folder, bar)
    images = {"images": [len(job.training), len(job.val)], "digest": _digest(job)}
    started = _start_record(task, origin, settings) | images
    _check_folder(folder, started, resume, overwrite)
    with lock_on_first_rank(folder):
        _prepare(folder, started, resume, overwrite)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        _print_summary(job)
        start = find_resume_checkpoint(checkpoints.path) if resume else None
        how_to_resume = f"resume with: {_command(task, origin, found, folder)}"
        with ignore_expected_warnings(), translate_stops(trainer, folder, how_to_resume):
            results = _run(trainer, job, settings, start)
        return _conclude(task, found, settings, job, results, folder)


def _with_devices(settings: Transfer) -> Transfer:
    """Return settings with the numbers of devices and nodes that there are."""
    devices, nodes = resolve_devices(settings.accelerator, settings.devices, settings.nodes)
    return replace(settings, devices=devices, nodes=nodes)


def _command(task: Task, origin: EncoderSpec, found: LoadedEncoder, folder: Path) -> str:
    """Return the command that resumes a transfer, with all options of its encoder."""
    words = ["uota", "transfer", task, origin.run, "--out", str(folder), "--resume"]
    default = asdict(EncoderSpec(origin.run))
    words += [f"--{name}={value}" for name, value in asdict(origin).items() if value != default[name]]
    return shlex.join(words) + (method_flag(found.settings.method.name) if found.settings else "")


def _conclude(
    task: Task, found: LoadedEncoder, settings: Transfer, job: Job, results: list[dict[str, Any]], folder: Path
) -> dict[str, Precision] | None:
    """Measure the precision and write the results, in the first process."""
    for skipped in filter(None, (job.train.skipped, job.val.skipped)):
        rank_zero_only(print)(skipped)
    if rank() > 0:
        return None
    precision = average_precision(job.val.annotations, results, task)
    parts = {part: asdict(each) for part, each in precision.items()}
    about = {"task": task, "encoder": found.name, "backbone": found.backbone, "steps": job.module.total_steps}
    write_text_atomically(folder / "detections.json", json.dumps(job.val.annotations.restore_ids(results)))
    write_text_atomically(folder / "result.json", json.dumps(about | parts | {"settings": asdict(settings)}, indent=1))
    return precision


def _folder(task: Task, origin: EncoderSpec, out: str | None) -> Path:
    if out is None and not path_of(origin.run).is_dir():
        raise UotaError(f"{origin.run} is not the folder of a run; give the output folder with --out")
    return path_of(origin.run) / task if out is None else path_of(out)


def _start_record(task: Task, origin: EncoderSpec, settings: Transfer) -> dict[str, Any]:
    """Return what a transfer is started with, with absolute paths."""
    is_path = path_of(origin.run).exists()
    named = replace(origin, run=located(origin.run)) if is_path else origin  # else the name of a timm model
    data = replace(settings, coco=located(settings.coco)) if settings.coco else settings
    return {"task": task, "origin": asdict(named), "settings": asdict(data)}


def _resumed_settings(folder: Path, task: Task, origin: EncoderSpec, asked: Transfer | None) -> Transfer:
    file = folder / "settings.json"
    try:
        written = read_json(file)
        old_default = {"heads": "torchvision"}  # folders from before the setting existed used these heads
        settings = settings_in_file(Transfer, old_default | written["settings"], file)
        then = _start_record(written["task"], EncoderSpec(**written["origin"]), settings)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UotaError(
            f"{folder} is not a transfer that can be resumed: {error}; drop --resume to start one"
        ) from error
    if then != _start_record(task, origin, asked or settings):
        raise UotaError(f"{folder} was started with other settings; resume with those in {file}")
    return settings


def _build(task: Task, found: LoadedEncoder, settings: Transfer) -> Job:
    train, val = open_both(settings.coco, task)
    channels, options = found.preset.channels, folder_options(found.settings)
    training = TrainingImages(CocoImages(train, channels, options), task, settings.seed, settings.pixel_centre)
    batches = GlobalBatches(len(training), settings.batch_size, settings.seed, 0, settings.ranks, int)
    batch = batches.local_size * settings.ranks
    detector = _detector(task, found, settings, train)
    frozen = detector.backbone.encoder if settings.norm == "frozen" else None
    steps = settings.total_steps(len(batches), batch)
    module = Detection(detector, frozen, settings, batch, steps, val)
    return Job(module, training.images, CocoImages(val, channels, options), training, ceil(steps / len(batches)))


def _detector(task: Task, found: LoadedEncoder, settings: Transfer, train: Annotations) -> Any:
    """Build an R-CNN on the encoder, with initial weights that follow from the seed."""
    published = settings.heads == "published"
    if published and settings.from_scratch:
        reset_scales(found.encoder)
    torch.manual_seed(settings.seed)
    pyramid = Pyramid(found.encoder, found.preset.channels, norm=published or settings.norm == "sync")
    pyramid.to(memory_format=torch.channels_last)  # not the heads: torchvision calls view() on keypoint maps
    sizes = sizes_for(pyramid, round(median(min(row["height"], row["width"]) for row in train.images)))
    build = published_detector if published else torchvision_detector
    detector = build(task, pyramid, found.preset, len(train.categories), len(train.keypoints), sizes)
    return with_sync_batch_norm(detector) if settings.ranks > 1 else detector


def _digest(job: Job) -> str:
    """Hash the names, sizes and objects of the images of both parts."""
    digest = hashlib.sha256()
    for part in (job.train.annotations, job.val.annotations):
        digest.update(json.dumps([part.images, part.categories]).encode())
        digest.update(part.objects.bytes.tobytes())
    return digest.hexdigest()


@rank_zero_only
def _check_folder(folder: Path, started: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Require a folder that may be written to, or on resuming one that was started with the same images."""
    if resume:
        _require_same_images(read_json(folder / "settings.json"), started, folder)
    else:
        require_free(folder, overwrite, _paths_to_keep(started))


@rank_zero_only
def _prepare(folder: Path, started: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Create the folder, after checking it again now that this process holds its lock."""
    _check_folder(folder, started, resume, overwrite)
    if not resume:
        empty_folder(folder, overwrite, _paths_to_keep(started))
        write_text_atomically(folder / "settings.json", json.dumps(started, indent=1))


def _require_same_images(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    if any(name in before and before[name] != now[name] for name in ("images", "digest")):
        here, then = (_format_counts(started.get("images")) for started in (now, before))
        raise UotaError(
            f"the images are not those that {folder} was started with: {here} for training and validation now, {then} "
            "then, or other annotations; put them back, or start again with --overwrite"
        )


def _format_counts(images: Any) -> str:
    """Format the numbers of images as "48 and 25"; anything else that a damaged settings file holds, unchanged."""
    return " and ".join(map(str, images)) if isinstance(images, list) else str(images)


def _paths_to_keep(started: dict[str, Any]) -> list[Path]:
    """Return what replacing the folder must not delete: the data, and the encoder, whose run may be in the folder."""
    encoder = Path(started["origin"]["run"])
    weights = [encoder / name for name in ("settings.json", "checkpoint.ckpt")] if encoder.is_dir() else [encoder]
    return [*places_of(started["settings"]["coco"]), *(weights if encoder.exists() else [])]


@rank_zero_only
def _print_summary(job: Job) -> None:
    for part in (job.train, job.val):
        logger.info(part.annotations)
    steps, rate = job.module.total_steps, job.module.top
    logger.info(f"{steps} steps on the {len(job.training)} training images with objects, learning rate {rate:.4g}")


def _trainer(job: Job, settings: Transfer, folder: Path, bar: bool) -> tuple[pl.Trainer, Checkpoints]:
    checkpoints = Checkpoints(folder / "checkpoint.ckpt", settings.checkpoint_every)
    trainer = make_trainer(
        folder,
        [checkpoints, *([PreciseNorms(job.training, settings)] if settings.heads == "published" else [])],
        bar,
        accelerator=settings.accelerator,
        # Which parts of a detector learn depends on what is in the images, so each step's graph is its own.
        ranks=Ranks(count_ranks(settings.devices, nodes=1), settings.nodes),
        max_steps=job.module.total_steps,
        max_epochs=job.epochs,
        logger=build_loggers(folder),
    )
    return trainer, checkpoints


def _run(trainer: pl.Trainer, job: Job, settings: Transfer, start: Path | None) -> list[dict[str, Any]]:
    """Train, and return the detections on the validation images of all processes."""
    data = ViewsOfRank(settings, job.training, in_memory=False)
    with translate_restore_errors(trainer, start):
        trainer.fit(job.module, data, ckpt_path=start, weights_only=True)
    raise_if_stopped()
    trainer.test(job.module, test_loader(job.val, TEST_BATCH, settings.workers, False, trainer), verbose=False)
    for images in (job.train, job.val):
        images.mark_unreadable(gather_objects(images.unreadable.bad()))
    return gather_objects(job.module.results)
