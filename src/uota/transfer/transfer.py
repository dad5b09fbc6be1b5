"""`transfer`: from an encoder and a COCO folder to average precision."""

import hashlib
import json
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
from uota.encoders.sync_batchnorm import synchronised
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
from uota.settings.transfer import Task, Transfer
from uota.training.accelerators import check_accelerator
from uota.training.batches import GlobalBatches, ViewsOfRank, test_loader
from uota.training.checkpoints import Checkpoints
from uota.training.resuming import translate_restore_errors
from uota.training.signals import raise_if_stopped
from uota.training.trainer import (
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

TEST_BATCH = 8


class Job(NamedTuple):
    """All that a training needs.

    Attributes:
        module: the detector.
        train, val: images.
        trained: those of `train` that hold something, with targets.
        epochs: of them, the last perhaps in part.
    """

    module: Detection
    train: CocoImages
    val: CocoImages
    trained: TrainingImages
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
    """Train a detector on an encoder, and measure it; leaves result.json and detections.json, COCO's form of results.

    Args:
        task: detection, segmentation or keypoints.
        origin: of the encoder.
        settings: of the training; with `resume` they must be those that it was started with, or None.
        out: folder for all of it; None: the run's, with the task's name.
        resume: go on from the folder's checkpoint.
        overwrite: replace the run that is in the folder.
        bar: show a progress bar.

    Returns:
        By part: boxes, and masks or keypoints. None on all processes but the first.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the encoder, the data or the folder is unavailable, or the images are not those that the training was
            started with.
    """
    if not find_spec("pycocotools"):
        raise UotaError("COCO's masks and average precision need pycocotools: pip install 'uota[transfer]'")
    folder = _folder(task, origin, out)
    check_writable_folder(folder)
    settings = _started_with(folder, task, origin, settings) if resume else settings or Transfer()
    check_accelerator(settings.accelerator, settings.devices)
    torch.manual_seed(settings.seed)
    found = load_encoder(origin, untrained=settings.from_scratch)
    job = _build(task, found, settings)
    trainer, checkpoints = _trainer(job, settings, folder, bar)
    started = _started(task, origin, settings) | {"images": [len(job.trained), len(job.val)], "digest": _digest(job)}
    _check_folder(folder, started, resume, overwrite)
    with lock_on_first_rank(folder):
        _prepare(folder, started, resume, overwrite)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        _say(job)
        start = find_resume_checkpoint(checkpoints.path) if resume else None
        again = f"go on with: {_command(task, origin, found, folder)}"
        with ignore_expected_warnings(), translate_stops(trainer, folder, again):
            results = _run(trainer, job, settings, start)
        return _conclude(task, found, settings, job, results, folder)


def _command(task: Task, origin: EncoderSpec, found: LoadedEncoder, folder: Path) -> str:
    """The command that resumes a transfer, with all that tells of the encoder."""
    words = ["uota", "transfer", task, origin.run, "--out", str(folder), "--resume"]
    default = asdict(EncoderSpec(origin.run))
    words += [f"--{name}={value}" for name, value in asdict(origin).items() if value != default[name]]
    return shlex.join(words) + (method_flag(found.settings.method) if found.settings else "")


def _conclude(
    task: Task, found: LoadedEncoder, settings: Transfer, job: Job, results: list[dict[str, Any]], folder: Path
) -> dict[str, Precision] | None:
    """Measure, and write what came out, in the first of the processes."""
    for skipped in filter(None, (job.train.skipped, job.val.skipped)):
        rank_zero_only(print)(skipped)
    if rank() > 0:
        return None
    precision = average_precision(job.val.annotations, results, task)
    parts = {part: asdict(each) for part, each in precision.items()}
    about = {"task": task, "encoder": found.name, "backbone": found.backbone, "steps": job.module.total_steps}
    write_text_atomically(folder / "detections.json", json.dumps(job.val.annotations.as_given(results)))
    write_text_atomically(folder / "result.json", json.dumps(about | parts | {"settings": asdict(settings)}, indent=1))
    return precision


def _folder(task: Task, origin: EncoderSpec, out: str | None) -> Path:
    if out is None and not path_of(origin.run).is_dir():
        raise UotaError(f"{origin.run} is no run: say where results go by --out")
    return path_of(origin.run) / task if out is None else path_of(out)


def _started(task: Task, origin: EncoderSpec, settings: Transfer) -> dict[str, Any]:
    """What a transfer is started with, by names that hold in every working directory."""
    there = path_of(origin.run).exists()
    named = replace(origin, run=located(origin.run)) if there else origin  # else a model of timm
    data = replace(settings, coco=located(settings.coco)) if settings.coco else settings
    return {"task": task, "origin": asdict(named), "settings": asdict(data)}


def _started_with(folder: Path, task: Task, origin: EncoderSpec, asked: Transfer | None) -> Transfer:
    file = folder / "settings.json"
    try:
        written = read_json(file)
        before_heads = {"heads": "torchvision"}  # what older folders were trained with
        settings = settings_in_file(Transfer, before_heads | written["settings"], file)
        then = _started(written["task"], EncoderSpec(**written["origin"]), settings)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UotaError(f"{folder} is no transfer that could be gone on with: {error}") from error
    if then != _started(task, origin, asked or settings):
        raise UotaError(f"{folder} was started with other settings; resume with those in {file}")
    return settings


def _build(task: Task, found: LoadedEncoder, settings: Transfer) -> Job:
    train, val = open_both(settings.coco, task)
    channels, options = found.preset.channels, folder_options(found.settings)
    trained = TrainingImages(CocoImages(train, channels, options), task, settings.seed, settings.pixel_centre)
    batches = GlobalBatches(len(trained), settings.batch_size, settings.seed, 0, settings.devices, int)
    batch = batches.local_size * settings.devices
    detector = _detector(task, found, settings, train)
    frozen = detector.backbone.encoder if settings.norm == "frozen" else None
    steps = settings.total_steps(len(batches), batch)
    module = Detection(detector, frozen, settings, batch, steps, val)
    return Job(module, trained.images, CocoImages(val, channels, options), trained, ceil(steps / len(batches)))


def _detector(task: Task, found: LoadedEncoder, settings: Transfer, train: Annotations) -> Any:
    """An R-CNN on the encoder, with initial weights that follow from the seed."""
    published = settings.heads == "published"
    if published and settings.from_scratch:
        reset_scales(found.encoder)
    torch.manual_seed(settings.seed)
    pyramid = Pyramid(found.encoder, found.preset.channels, norm=published or settings.norm == "sync")
    pyramid.to(memory_format=torch.channels_last)  # not the heads: torchvision views those of keypoints as contiguous
    sizes = sizes_for(pyramid, round(median(min(row["height"], row["width"]) for row in train.images)))
    build = published_detector if published else torchvision_detector
    detector = build(task, pyramid, found.preset, len(train.categories), len(train.keypoints), sizes)
    return synchronised(detector) if settings.devices > 1 else detector


def _digest(job: Job) -> str:
    """Of the names and sizes of the images of both parts, and what is on them."""
    digest = hashlib.sha256()
    for part in (job.train.annotations, job.val.annotations):
        digest.update(json.dumps([part.images, part.categories]).encode())
        digest.update(part.objects.bytes.tobytes())
    return digest.hexdigest()


@rank_zero_only
def _check_folder(folder: Path, started: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """See that the folder may be used."""
    if resume:
        _require_same_images(read_json(folder / "settings.json"), started, folder)
    else:
        require_free(folder, overwrite, _needed(started))


@rank_zero_only
def _prepare(folder: Path, started: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Make the folder; it is looked at again, now that nobody else can change it."""
    _check_folder(folder, started, resume, overwrite)
    if not resume:
        empty_folder(folder, overwrite, _needed(started))
        write_text_atomically(folder / "settings.json", json.dumps(started, indent=1))


def _require_same_images(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    if any(name in before and before[name] != now[name] for name in ("images", "digest")):
        here, then = (_counted(started.get("images")) for started in (now, before))
        raise UotaError(
            f"the images are not those that {folder} was started with: {here} for training and validation now, {then} "
            "then, or other annotations; put them back, or begin anew with --overwrite"
        )


def _counted(images: Any) -> str:
    """Numbers of images as words; whatever else a file of settings holds in their place as it is."""
    return " and ".join(map(str, images)) if isinstance(images, list) else str(images)


def _needed(started: dict[str, Any]) -> list[Path]:
    """What must outlive the replacing of a folder: the data, and the encoder, in whose run the folder may lie."""
    encoder = Path(started["origin"]["run"])
    weights = [encoder / name for name in ("settings.json", "checkpoint.ckpt")] if encoder.is_dir() else [encoder]
    return [*places_of(started["settings"]["coco"]), *(weights if encoder.exists() else [])]


@rank_zero_only
def _say(job: Job) -> None:
    for part in (job.train, job.val):
        print(part.annotations)
    module = job.module
    print(f"{module.total_steps} steps on the {len(job.trained)} images that hold something, rate {module.top:.4g}")


def _trainer(job: Job, settings: Transfer, folder: Path, bar: bool) -> tuple[pl.Trainer, Checkpoints]:
    checkpoints = Checkpoints(folder / "checkpoint.ckpt", settings.checkpoint_every)
    trainer = make_trainer(
        folder,
        [checkpoints, *([PreciseNorms(job.trained, settings)] if settings.heads == "published" else [])],
        bar,
        accelerator=settings.accelerator,
        devices=settings.devices,
        max_steps=job.module.total_steps,
        max_epochs=job.epochs,
        logger=build_loggers(folder),
    )
    return trainer, checkpoints


def _run(trainer: pl.Trainer, job: Job, settings: Transfer, start: Path | None) -> list[dict[str, Any]]:
    """Train, and find what is on the validation images, those of all processes."""
    data = ViewsOfRank(settings, job.trained, in_memory=False)
    with translate_restore_errors(trainer, start):
        trainer.fit(job.module, data, ckpt_path=start, weights_only=True)
    raise_if_stopped()
    trainer.test(job.module, test_loader(job.val, TEST_BATCH, settings.workers, False, trainer), verbose=False)
    for images in (job.train, job.val):
        images.know(gather_objects(images.known.bad()))
    return gather_objects(job.module.found)
