"""`pretrain`: one run, from settings to a checkpoint."""

import json
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only

from uota.config import Pretrain
from uota.data import Groups, Source, describe_skipped, say_left_out
from uota.errors import UotaError
from uota.runs import Run, checkpoint_to_go_on_from, empty_folder, load_part, write_atomically
from uota.text import printable
from uota.training.accelerators import check_accelerator
from uota.training.batches import GlobalBatches, ViewsOfRank
from uota.training.build import VIEWS_OF, build_module, decide, folder_options, open_items, preset_of
from uota.training.checkpoints import Checkpoints
from uota.training.module import Pretraining
from uota.training.monitor import Monitor
from uota.training.optimizer import check_optimizer
from uota.training.resuming import translate_restore_errors
from uota.training.trainer import explaining_full_disks, loggers_of, make_trainer, without_warnings_of_what_is_meant
from uota.views import GROUP_NAMES, ViewDataset, ViewPipeline

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "64": "64-true"}


def pretrain(
    settings: Pretrain, out: Path, resume: bool = False, overwrite: bool = False, bar: bool = True, lines: bool = True
) -> Run:
    """Pretrain an encoder and leave a run folder.

    Args:
        settings: of the run; with `resume` they must be those it was started with.
        out: the run's folder.
        resume: go on from the folder's checkpoint.
        overwrite: throw away what is in the folder.
        bar: show a progress bar.
        lines: print a line every epoch.

    Raises:
        UotaError: the folder is taken, the settings contradict each other, the images cannot be had.
    """
    run = Run(out)
    check_accelerator(settings.accelerator, settings.devices)
    check_optimizer(settings)
    source = open_items(settings.data, settings.views, folder=folder_options(settings))
    settings = decide(settings, source)
    preset = preset_of(settings)
    # All that can be refused is refused before the folder is touched.
    candidates = preset.with_candidates(settings.candidates)
    steps = len(GlobalBatches(len(source), settings.batch_size, 0, 0, settings.devices, int))
    module = build_module(settings, steps * settings.epochs)
    _prepare(run, settings, resume, overwrite)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    start = checkpoint_to_go_on_from(run.checkpoint) if resume else None
    if start:
        load_part(module, run)
    say_left_out(source)
    if lines:
        _say_what_is_learned_from(source)
    checkpoints = Checkpoints(run.checkpoint, settings.checkpoint_every)
    monitor = Monitor(list(GROUP_NAMES[: len(preset.groups)]), quiet=not lines)
    trainer = _trainer(settings, run, [checkpoints, monitor], bar)
    pipeline = ViewPipeline(candidates, settings.seed, settings.inject, settings.inject_from)
    data = ViewsOfRank(settings, ViewDataset(source, pipeline), source.name in VIEWS_OF)
    _fit(trainer, module, data, run, start)
    if checkpoints.interrupted:
        raise UotaError(f"stopped at step {trainer.global_step}; go on with: uota pretrain --out {out} --resume")
    list_skipped(source, run)
    return run


@rank_zero_only
def _say_what_is_learned_from(source: Source) -> None:
    print(f"training on {len(source)} {'groups' if isinstance(source, Groups) else 'images'} of {source.name}")


@rank_zero_only
def list_skipped(source: Source, run: Run) -> None:
    """Say which files could not be read, all of them in a file of the run."""
    if said := describe_skipped(source, rest=f"; all are in {run.skipped_file}"):
        print(said)
        write_atomically(run.skipped_file, "".join(f"{printable(path)}\n" for path in source.skipped))


def _fit(trainer: pl.Trainer, module: Pretraining, data: ViewsOfRank, run: Run, start: Path | None) -> None:
    with (
        without_warnings_of_what_is_meant(),
        explaining_full_disks(run.folder),
        translate_restore_errors(trainer, start),
    ):
        trainer.fit(module, data, ckpt_path=start, weights_only=True)


@rank_zero_only
def _prepare(run: Run, settings: Pretrain, resume: bool, overwrite: bool) -> None:
    """Make the folder, or see that it may be used."""
    written = json.dumps(settings.as_dict(), indent=1)
    if resume:
        if run.settings().as_dict() != json.loads(written):
            raise UotaError(f"{run.folder} was started with other settings; resume with those in {run.settings_file}")
        return
    empty_folder(run.folder, overwrite)
    write_atomically(run.settings_file, written)


def _trainer(settings: Pretrain, run: Run, callbacks: list[pl.Callback], bar: bool) -> pl.Trainer:
    return make_trainer(
        run.folder,
        callbacks,
        bar,
        accelerator=settings.accelerator,
        devices=settings.devices,
        precision=PRECISIONS[settings.precision],
        max_epochs=settings.epochs,
        logger=loggers_of(run.folder),
    )
