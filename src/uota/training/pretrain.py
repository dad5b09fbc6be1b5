"""Pretraining: one run, from settings to a checkpoint."""

import json
import logging
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only

from uota.console import printable
from uota.data import Groups, Source, describe_skipped, warn_left_out
from uota.data.fingerprint import fingerprint, require_same_images
from uota.data.open import open_items, training_options
from uota.data.places import located, places_of
from uota.errors import UotaError
from uota.io.atomic import write_text_atomically
from uota.methods.build import check_statistics
from uota.methods.own import method_flag
from uota.runs.checkpoints import find_intact_checkpoint, find_resume_checkpoint
from uota.runs.eyes import located_eyes
from uota.runs.folder import empty_folder, require_free
from uota.runs.initial import located_init, read_initial
from uota.runs.run import Run, load_part
from uota.settings.pretrain import Pretrain
from uota.settings.ranges import count_ranks
from uota.training.accelerators import check_precision
from uota.training.accumulation import check_parts
from uota.training.arbiter_choice import ArbiterChoice, read_choice
from uota.training.baseline import Baseline, read_comparison
from uota.training.batches import GlobalBatches, ViewsOfRank
from uota.training.checkpoints import Checkpoints
from uota.training.damage import DamageWatch
from uota.training.defaults import Choice, warn_few
from uota.training.estimate import Estimate
from uota.training.given_weights import GivenWeights
from uota.training.launch import resolve_devices
from uota.training.loss_scale import LossScale
from uota.training.module import Pretraining
from uota.training.monitor import Monitor
from uota.training.optimizer import check_optimizer
from uota.training.refiling import Refiling, build_refiling, share_members
from uota.training.resolve import explain_auto, resolve_auto
from uota.training.resuming import translate_restore_errors
from uota.training.setup import build_module, translate_missing_compiler
from uota.training.sharding import check_sharding
from uota.training.shrinking import check_cache, located_cache, removing_memory, say_copies, say_tally
from uota.training.trainer import (
    Ranks,
    build_loggers,
    ignore_expected_warnings,
    lock_on_first_rank,
    make_trainer,
    translate_stops,
)
from uota.training.trial import ArbiterTrial
from uota.views import SIZE_NAMES, ViewDataset, ViewPipeline
from uota.views.presets import preset_of

logger = logging.getLogger(__name__)

# Images whose views are made before a run begins, to fail early.
TRIED = 2
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed", "64": "64-true"}


def pretrain(
    settings: Pretrain, out: Path, resume: bool = False, overwrite: bool = False, bar: bool = True, lines: bool = True
) -> Run:
    """Pretrain an encoder and leave a run folder.

    Args:
        settings: settings of the run; with `resume`, those that it was started with.
        out: run folder.
        resume: resume from the folder's checkpoint.
        overwrite: replace the run that is in the folder.
        bar: show a progress bar, if the output is a terminal.
        lines: print at most 20 lines during the run, and a summary at its end.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the folder is in use or not empty, the settings contradict each other, or the images are unavailable
            or differ from those that the run was started with.
    """
    run = Run(out)
    settings = with_devices(settings)
    check_precision(settings.runtime.precision, settings.runtime.accelerator)
    source = open_items(settings.data.source, settings.views.preset, folder=training_options(settings))
    settings, choices = explain_auto(settings, source)
    settings = located_settings(settings)
    check_optimizer(settings)
    if settings.runtime.strategy == "fsdp2":
        check_sharding(settings)
    with removing_memory(settings):
        # All that can be refused is refused before the folder is touched.
        job = _build(run, settings, source, bar, lines, resume)
        _check_folder(run, settings, source, resume, overwrite)
        with lock_on_first_rank(out):
            _prepare(run, settings, source, resume, overwrite)
            if lines and not resume:
                _log_choices(settings, choices)
                warn_few(settings, source)
            _fit(job, run, resume, lines)
            if lines:
                _log_summary(job, run)
                rank_zero_only(say_tally)(source, settings.runtime.ranks)
            list_skipped(source, run)
    return run


def with_devices(settings: Pretrain) -> Pretrain:
    """Return settings with the numbers of devices and nodes that there are.

    Raises:
        UotaError: there are not as many as the settings ask for.
    """
    own = settings.runtime
    devices, nodes = resolve_devices(own.accelerator, own.devices, own.nodes)
    return settings.replace_flat(devices=devices, nodes=nodes)


def located_settings(settings: Pretrain) -> Pretrain:
    """Return settings whose paths are valid in every working directory."""
    init, eyes = located_init(settings.method.init), located_eyes(settings.arbitration.eyes)
    cache_in = located_cache(settings.data.cache_in)
    return settings.replace_flat(data=located(settings.data.source), init=init, eyes=eyes, cache_in=cache_in)


@dataclass
class _Loading:
    """The settings that loading batches depends on."""

    batch_size: int
    seed: int
    workers: int | None


class _Job(NamedTuple):
    """Everything that a training needs."""

    source: Source
    module: Pretraining
    data: ViewsOfRank
    trainer: pl.Trainer
    monitor: Monitor
    refiling: list[Refiling]
    threads: int | None


def _build(run: Run, settings: Pretrain, source: Source, bar: bool, lines: bool, resume: bool) -> _Job:
    """Build everything that a training needs, and try what would otherwise fail only once it has begun."""
    preset = preset_of(settings)
    check_cache(settings, source, preset, run.folder)
    pipeline = ViewPipeline(
        preset.with_candidates(settings.arbitration.candidates),
        settings.runtime.seed,
        settings.views.inject,
        settings.views.inject_from,
    )
    begun = resume and find_intact_checkpoint(run.checkpoint) is not None  # then the weights are in the checkpoint
    trained = share_members(source) if settings.data.refile and isinstance(source, Groups) else source
    views = ViewDataset(trained, pipeline)
    size, seed = settings.optimization.batch, settings.runtime.seed
    batches = GlobalBatches(len(source), size, seed, 0, settings.runtime.ranks, int)
    total = settings.optimization.total_steps(len(batches))
    initial, choice = (None, _choice_of(run, settings)) if begun else (read_initial(settings), None)
    module = build_module(settings, total, len(batches), initial, choice)
    module.configure_optimizers()
    check_parts(settings.optimization.accumulate, batches.local_size)
    check_statistics(module.method, settings, batches.local_size)
    views.__getitems__(next(iter(batches))[:TRIED])
    checkpoints = Checkpoints(run.checkpoint, settings.runtime.checkpoint_every)
    monitor = Monitor(list(SIZE_NAMES[: len(preset.sizes)]), total, quiet=not lines)
    estimate = Estimate(total, quiet=not lines)
    baseline = Baseline(settings, source, run.baseline_file, total, quiet=not lines)
    refiling = build_refiling(settings, source, trained, run, len(batches), total, begun)
    trial = ArbiterTrial(trained, replace(pipeline, preset=preset), run.arbiter_file)
    given = GivenWeights(settings, source, total)
    watches = [DamageWatch(source), LossScale()]
    callbacks = [*refiling, trial, baseline, given, checkpoints, monitor, *watches, estimate]
    trainer = _trainer(settings, run, callbacks, bar, total)
    loading = _Loading(size, seed, settings.runtime.workers)
    data = ViewsOfRank(loading, views, source.in_memory, source.parts, settings.runtime.views_on)
    return _Job(source, module, data, trainer, monitor, refiling, settings.runtime.threads)


def _choice_of(run: Run, settings: Pretrain) -> ArbiterChoice | None:
    return read_choice(run.arbiter_file) if settings.arbitration.has_frozen_eyes else None


@rank_zero_only
def _log_choices(settings: Pretrain, choices: list[Choice]) -> None:
    """Log a line for each setting that was left to the package; without an arbiter, its settings do not matter."""
    moot = () if settings.arbitration.arbiter != "none" else ("eyes", "weighted_side", "start")
    for name, value, reason in (choice for choice in choices if choice.name not in moot):
        logger.info(f"{name}: {value} ({reason})")


@rank_zero_only
def _log_source(source: Source) -> None:
    kept = f"; {source.held_out} others are kept for evaluation" if source.held_out else ""
    logger.info(f"training on {len(source)} {source.unit}s of {printable(source.name)}{kept}")


@rank_zero_only
def _log_summary(job: _Job, run: Run) -> None:
    for line in job.monitor.summary(job.trainer.global_step).lines():
        logger.info(line)
    if found := read_comparison(run.baseline_file):
        logger.info(found.line())
    for each in job.refiling:
        logger.info(each.line)


@rank_zero_only
def list_skipped(source: Source, run: Run) -> None:
    """Log which files could not be read, and list all of them in a file of the run."""
    if said := describe_skipped(source, rest=f"; all are in {printable(run.skipped_file)}"):
        logger.info(said)
        write_text_atomically(run.skipped_file, "".join(f"{printable(path)}\n" for path in source.skipped))


def _fit(job: _Job, run: Run, resume: bool, lines: bool) -> None:
    if job.threads:
        torch.set_num_threads(job.threads)
    start = find_resume_checkpoint(run.checkpoint) if resume else None
    if start:
        load_part(job.module, run)
    rank_zero_only(warn_left_out)(job.source)
    if lines:
        _log_source(job.source)
        rank_zero_only(say_copies)(job.source, preset_of(job.module.settings))
    flag = method_flag(job.module.settings.method.name)
    again = f"resume with: uota pretrain --out {shlex.quote(str(run.folder))} --resume{flag}"
    with (
        ignore_expected_warnings(),
        translate_stops(job.trainer, run.folder, again),
        translate_missing_compiler(),
        translate_restore_errors(job.trainer, start),
    ):
        job.trainer.fit(job.module, job.data, ckpt_path=start, weights_only=True)


@rank_zero_only
def _check_folder(run: Run, settings: Pretrain, source: Source, resume: bool, overwrite: bool) -> None:
    """Require a folder that the run may use."""
    if not resume:
        require_free(run.folder, overwrite, places_of(settings.data.source))
        return
    written = run.settings()
    if written.is_of_older_version:
        raise UotaError(
            f"{run.folder} was started by an older version of uota, which trained differently; resume it with "
            "that version, or start again with --overwrite"
        )
    written = resolve_auto(written, source)  # earlier versions had fewer settings
    if written.runtime.ranks == settings.runtime.ranks:  # as many processes may be on other nodes now
        written = written.replace_flat(devices=settings.runtime.devices, nodes=settings.runtime.nodes)
    if written.data.cache is not None:  # copies are the same wherever they are
        written = written.replace_flat(cache_in=settings.data.cache_in)
    if located_settings(written).as_dict() != json.loads(json.dumps(settings.as_dict())):
        raise UotaError(f"{run.folder} was started with other settings; resume with those in {run.settings_file}")
    require_same_images(source, run.data_file)


@rank_zero_only
def _prepare(run: Run, settings: Pretrain, source: Source, resume: bool, overwrite: bool) -> None:
    """Prepare the folder; it is checked again now that it is locked."""
    _check_folder(run, settings, source, resume, overwrite)
    if not resume:
        empty_folder(run.folder, overwrite, places_of(settings.data.source))
        write_text_atomically(run.data_file, json.dumps(fingerprint(source), indent=1))
        write_text_atomically(run.settings_file, json.dumps(settings.as_dict(), indent=1))


def _ranks(settings: Pretrain) -> Ranks:
    own = settings.runtime
    # Every step reaches the same parameters: prototypes, for one, are frozen by dropping their gradients afterwards.
    return Ranks(count_ranks(own.devices, nodes=1), own.nodes, own.strategy, same_graph=True)


def _trainer(settings: Pretrain, run: Run, callbacks: list[pl.Callback], bar: bool, steps: int) -> pl.Trainer:
    return make_trainer(
        run.folder,
        callbacks,
        bar,
        accelerator=settings.runtime.accelerator,
        ranks=_ranks(settings),
        precision=PRECISIONS[settings.runtime.precision],
        max_steps=steps,  # whatever the length is given in: Lightning counts a last epoch that ends early as whole
        logger=build_loggers(run.folder),
    )
