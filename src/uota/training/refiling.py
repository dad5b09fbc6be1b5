"""Re-filing during a run: files of groups are judged before the training and by the trained encoder, and moved."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from uota.data import Groups, Source
from uota.data.files.members import SharedMembers
from uota.distributed import on_this_rank
from uota.encoders.pretrained import PRETRAINED
from uota.io.tables import write_columns
from uota.membership.eyes import FileEyes, default_preset, encoder_eyes, file_features
from uota.membership.inputs.pictures import relative_name
from uota.membership.path_cells import escape_path
from uota.membership.projection import Features
from uota.membership.refiling import Refiled, refile, together
from uota.numerics import seed_of
from uota.runs.encoder import LoadedEncoder
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.views.presets import preset_of

# Shares of the training after which the encoder judges the files, at the end of the pass over the groups.
JUDGED_AT = (0.25, 0.5)


def share_members(groups: Groups) -> Groups:
    """Return the same groups with members that a run can change."""
    return groups.with_members(SharedMembers(groups.members, len(groups.files)))


class Refiling(pl.Callback):
    """Judges the files of groups, and has the next pass over the groups show each file where it belongs.

    The first verdict is that of the weights that the run starts from, before the first step. The later ones are by the
    features of these and of the encoder that is trained, side by side, which tell more right groups than either. Each
    is on the groups as they were given. A checkpoint has the groups of the step after it, so that a resumed run goes on
    with these.

    Args:
        settings: of the run, without `auto`.
        source: the groups as they are given.
        members: those that the run trains on, which are changed.
        file: table to write.
        epoch_steps: number of steps of a pass over the groups.
        total_steps: number of steps of the whole run.
        begun: whether the run is resumed, so that its checkpoint has the groups.
    """

    def __init__(
        self,
        settings: Pretrain,
        source: Groups,
        members: SharedMembers,
        file: Path,
        epoch_steps: int,
        total_steps: int,
        begun: bool = False,
    ) -> None:
        self.settings, self.source, self.members, self.file = settings, source, members, file
        self.begun, self.given, self.line = begun, members.group, ""
        passes = {-(-int(share * total_steps) // epoch_steps) for share in JUDGED_AT}
        self.due = {number * epoch_steps for number in passes if 0 < number * epoch_steps < total_steps}
        self.start: nn.Module = nn.Identity()
        self._seen_at_start: Features = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: groups, the last verdict, and the weights before the first step."""
        return {"group": self.members.group, "line": self.line, "start": self.start.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an interrupted run knew."""
        self.members.refile(state_dict["group"])
        self.line = state_dict["line"]
        if not state_dict["start"]:  # after the last verdict
            self.start = nn.Identity()
        self.start.load_state_dict(state_dict["start"])

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Judge the files by the weights that the run starts from, before the first batch is made."""
        self.start = frozen_copy(module)
        if not self.begun:
            self._judge(trainer, None)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Judge the files if that is due; a checkpoint of this step comes after it."""
        if trainer.global_step in self.due and self.line:  # a run of an earlier version has no verdict
            self._judge(trainer, frozen_copy(module))
        if trainer.global_step >= max(self.due, default=0):
            self.start = nn.Identity()

    def _judge(self, trainer: pl.Trainer, trained: nn.Module | None) -> None:
        """Judge the files on the first rank, and have all ranks follow."""
        told: Any = None
        if trainer.is_global_zero:
            with on_this_rank():
                found = self._verdict(trained, seed_of(self.settings.runtime.seed, trainer.global_step))
            write_refiled(found, self.source, self.settings.data.source, self.file)
            told = found.group, describe(found, trainer.global_step)
        group, self.line = trainer.strategy.broadcast(told)
        self.members.refile(group)

    def _verdict(self, trained: nn.Module | None, seed: int) -> Refiled:
        files = self.source.files
        if not self._seen_at_start:  # also after a resumption
            self._seen_at_start = file_features(files, eyes_at_start(self.start, self.settings, files), bar=False)
        features = self._seen_at_start
        if trained is not None:
            features = together(features, file_features(files, eyes_of(trained, self.settings), bar=False))
        readable = ~self.source.unreadable(torch.arange(len(self.given)))
        return refile(self.given, features, readable, seed)


def build_refiling(
    settings: Pretrain, source: Source, trained: Source, run: Run, epoch_steps: int, total_steps: int, begun: bool
) -> list[Refiling]:
    """Build the re-filing of a run; none if it trains on the groups as they are, or on single images.

    Args:
        settings: of the run, without `auto`.
        source: what the user gave.
        trained: what the run trains on.
        run: its folder.
        epoch_steps, total_steps: number of steps of a pass over the groups, and of the whole run.
        begun: whether the run is resumed.
    """
    if not settings.data.refile or not isinstance(source, Groups) or not isinstance(trained, Groups):
        return []
    assert isinstance(trained.members, SharedMembers)
    return [Refiling(settings, source, trained.members, run.refiled_file, epoch_steps, total_steps, begun)]


def frozen_copy(module: pl.LightningModule) -> nn.Module:
    """Return a copy of the encoder that is trained, since eyes are frozen."""
    return copy.deepcopy(module.get_submodule("method.encoder")).float().cpu()


def eyes_at_start(encoder: nn.Module, settings: Pretrain, files: Source) -> FileEyes:
    """Return the encoder that a run starts from as eyes; the embedded one sees files as in `default_eyes`."""
    size = default_preset(files).evaluation_size if settings.method.init == PRETRAINED else None
    return eyes_of(encoder, settings, size)


def eyes_of(encoder: nn.Module, settings: Pretrain, size: int | None = None) -> FileEyes:
    """Return an encoder of a run as eyes.

    Args:
        encoder: it is frozen.
        settings: of the run.
        size: side in pixels to which files are resized; None: that of the views.
    """
    preset = preset_of(settings)
    whole = replace(preset, evaluation_size=size or preset.sizes[0].size, evaluation_resize=None)
    return encoder_eyes(LoadedEncoder(settings.method.init, encoder, settings.method.backbone, preset), whole)


def describe(found: Refiled, step: int) -> str:
    """Return a line on what a verdict found, moved and dropped."""
    files, moved, dropped = (int(each.sum()) for each in (found.given >= 0, found.moved, found.dropped))
    when = f"after {step} steps" if step else "before training"
    return (
        f"groups {when}: about {100 * found.share:.1f} % of {files} files do not belong; in training, {moved} are in "
        f"another group, {dropped} are left out, {files - moved - dropped} stay (each in refiled.csv; no file was "
        "moved on disk)"
    )


def write_refiled(found: Refiled, groups: Groups, folder: str, out: Path) -> None:
    """Write what becomes of each file as .csv, the most probable misfiled ones first.

    Args:
        found: the verdict.
        groups: the groups, in which the files were given.
        folder: their source; names of files are relative to it.
        out: the table to write.

    Raises:
        UotaError: the file cannot be written.
    """
    places = torch.nonzero((found.given >= 0) & found.probability.isfinite())[:, 0]
    places = places[found.probability[places].argsort(descending=True, stable=True)]
    names = np.array([escape_path(groups.display_name(number)) for number in range(len(groups))], dtype=object)
    fate = np.where(found.moved[places], "moved", np.where(found.dropped[places], "left out", "kept"))
    columns = {
        "file": np.array(
            [escape_path(relative_name(groups, index, folder)) for index in places.tolist()], dtype=object
        ),
        "group": names[found.given[places]],
        "probability": found.probability[places].numpy(),
        "fits_better": names[found.fits[places]],
        "fits_probability": found.fits_probability[places].numpy(),
        "fate": fate,
        "moved_to": np.where(found.moved[places], names[found.group[places]], None),
    }
    write_columns(columns, out)
