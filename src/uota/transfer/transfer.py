"""`transfer`: from an encoder and a COCO folder to average precision."""

import json
from dataclasses import asdict
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from pytorch_lightning.utilities import rank_zero_only

from uota.arguments import settings_in_file
from uota.collectives import gather_objects, rank
from uota.errors import UotaError
from uota.files import read_json
from uota.nn.sync_batchnorm import synchronised
from uota.origin import Found, find_encoder
from uota.outputs import check_writable_folder, path_of
from uota.protocols import Origin
from uota.runs import checkpoint_to_go_on_from, empty_folder, write_atomically
from uota.training.accelerators import check_accelerator
from uota.training.batches import GlobalBatches, ViewsOfRank, test_loader
from uota.training.checkpoints import Checkpoints
from uota.training.resuming import translate_restore_errors
from uota.training.trainer import (
    explaining_full_disks,
    loggers_of,
    make_trainer,
    without_warnings_of_what_is_meant,
)
from uota.transfer.annotations import open_both
from uota.transfer.average_precision import Precision, average_precision
from uota.transfer.detectors import build_detector, sizes_for
from uota.transfer.images import CocoImages, TrainingImages
from uota.transfer.module import Detection
from uota.transfer.pyramid import Pyramid
from uota.transfer.settings import Task, Transfer

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
    origin: Origin,
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
        overwrite: throw away what is in the folder.
        bar: show a progress bar.

    Returns:
        By part: boxes, and masks or keypoints. None on all processes but the first.

    Raises:
        UotaError: the encoder, the data or the folder cannot be had; Ctrl-C.
    """
    if not find_spec("pycocotools"):
        raise UotaError("COCO's masks and average precision need pycocotools: pip install 'uota[transfer]'")
    folder = _folder(task, origin, out)
    check_writable_folder(folder)
    settings = _started_with(folder, task, origin, settings) if resume else settings or Transfer()
    check_accelerator(settings.accelerator, settings.devices)
    torch.manual_seed(settings.seed)
    found = find_encoder(origin, untrained=settings.from_scratch)
    job = _build(task, found, settings)
    started = {"task": task, "origin": asdict(origin), "settings": asdict(settings)}
    _prepare(folder, started | {"images": [len(job.trained), len(job.val)]}, resume, overwrite)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    _say(job)
    again = f"uota transfer {task} {origin.run} --out {folder} --resume"
    results = _run(job, settings, folder, resume, bar, again)
    for skipped in filter(None, (job.train.skipped, job.val.skipped)):
        rank_zero_only(print)(skipped)
    if rank() > 0:
        return None
    precision = average_precision(job.val.annotations, results, task)
    parts = {part: asdict(each) for part, each in precision.items()}
    about = {"task": task, "encoder": found.name, "backbone": found.backbone, "steps": job.module.total_steps}
    write_atomically(folder / "detections.json", json.dumps(job.val.annotations.as_given(results)))
    write_atomically(folder / "result.json", json.dumps(about | parts | {"settings": asdict(settings)}, indent=1))
    return precision


def _folder(task: Task, origin: Origin, out: str | None) -> Path:
    if out is None and not path_of(origin.run).is_dir():
        raise UotaError(f"{origin.run} is no run: say where results go by --out")
    return path_of(origin.run) / task if out is None else path_of(out)


def _started_with(folder: Path, task: Task, origin: Origin, asked: Transfer | None) -> Transfer:
    file = folder / "settings.json"
    try:
        started = read_json(file)
        settings = settings_in_file(Transfer, started["settings"], file)
        same = (started["task"], started["origin"]) == (task, asdict(origin)) and asked in (None, settings)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UotaError(f"{folder} is no transfer that could be gone on with: {error}") from error
    if not same:
        raise UotaError(f"{folder} was started with other settings; resume with those in {file}")
    return settings


def _build(task: Task, found: Found, settings: Transfer) -> Job:
    train, val = open_both(settings.coco, task)
    channels = found.preset.channels
    trained = TrainingImages(CocoImages(train, channels), task, settings.seed)
    batches = GlobalBatches(len(trained), settings.batch_size, settings.seed, 0, settings.devices, int)
    batch = batches.local_size * settings.devices
    torch.manual_seed(settings.seed)
    pyramid = Pyramid(found.encoder, channels, norm=settings.norm == "sync")
    pyramid.to(memory_format=torch.channels_last)  # not the heads: torchvision views those of keypoints as contiguous
    short = round(median(min(row["height"], row["width"]) for row in train.images))
    sizes = sizes_for(pyramid, short)
    detector = build_detector(task, pyramid, found.preset, len(train.categories), len(train.keypoints), sizes)
    if settings.devices > 1:
        synchronised(detector)
    frozen = pyramid.encoder if settings.norm == "frozen" else None
    steps = settings.total_steps(len(batches), batch)
    module = Detection(detector, frozen, settings, batch, steps, val)
    return Job(module, trained.images, CocoImages(val, channels), trained, ceil(steps / len(batches)))


@rank_zero_only
def _prepare(folder: Path, started: dict[str, Any], resume: bool, overwrite: bool) -> None:
    file = folder / "settings.json"
    if resume:
        if read_json(file).get("images") != started["images"]:
            raise UotaError(f"the images are not those that {folder} was started with; begin anew with --overwrite")
        return
    empty_folder(folder, overwrite)
    write_atomically(file, json.dumps(started, indent=1))


@rank_zero_only
def _say(job: Job) -> None:
    for part in (job.train, job.val):
        print(part.annotations)
    module = job.module
    print(f"{module.total_steps} steps on the {len(job.trained)} images that hold something, rate {module.top:.4g}")


def _run(job: Job, settings: Transfer, folder: Path, resume: bool, bar: bool, again: str) -> list[dict[str, Any]]:
    """Train, and find what is on the validation images, those of all processes."""
    module = job.module
    checkpoints = Checkpoints(folder / "checkpoint.ckpt", settings.checkpoint_every)
    trainer = make_trainer(
        folder,
        [checkpoints],
        bar,
        accelerator=settings.accelerator,
        devices=settings.devices,
        max_steps=module.total_steps,
        max_epochs=job.epochs,
        logger=loggers_of(folder),
    )
    start = checkpoint_to_go_on_from(checkpoints.path) if resume else None
    data = ViewsOfRank(settings, job.trained, in_memory=False)
    with without_warnings_of_what_is_meant(), explaining_full_disks(folder):
        with translate_restore_errors(trainer, start):
            trainer.fit(module, data, ckpt_path=start, weights_only=True)
        if checkpoints.interrupted:
            raise UotaError(f"stopped at step {trainer.global_step}; go on with: {again}")
        trainer.test(module, test_loader(job.val, TEST_BATCH, settings.workers, False, trainer), verbose=False)
        for images in (job.train, job.val):
            images.know(gather_objects(images.known.bad()))
        return gather_objects(module.found)
