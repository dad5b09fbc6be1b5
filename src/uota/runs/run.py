"""The folder of a pretraining run.

settings.json            the settings (`Pretrain`)
data.json                the number of images and a digest of their listing
checkpoint.ckpt          the last checkpoint, in Lightning's format
checkpoint.before.ckpt   the previous checkpoint, in case the last one is damaged
arbiter.json             the arbiter that was chosen, if it has frozen eyes (`uota.training.arbiter_choice`)
baseline.json            what the encoder can do without and with its training (`uota.training.baseline`)
refiled.csv              files of groups that do not belong, and what became of them (`uota.training.refiling`)
logs/                    CSV (and TensorBoard) logs
skipped.txt              the files that could not be read, if any
linear.json, knn.json …  results of evaluations; linear-sgd/ and finetune-*/ contain their checkpoints
detection/, segmentation/, keypoints/  transfers, with their own settings, checkpoints and logs
.uota.lock               lock of the process that trains

`uota.runs.folder.RUN` lists the same files for --overwrite, which removes no others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uota.encoders.weights import check_finite
from uota.errors import UotaError
from uota.io.reading import read_json
from uota.runs.checkpoints import find_intact_checkpoint, first_line, read_checkpoint
from uota.settings.parsing import settings_in_file
from uota.settings.pretrain import Pretrain


@dataclass(frozen=True)
class Run:
    """A pretraining run, by its folder."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.ckpt"

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.json"

    @property
    def data_file(self) -> Path:
        return self.folder / "data.json"

    @property
    def baseline_file(self) -> Path:
        return self.folder / "baseline.json"

    @property
    def arbiter_file(self) -> Path:
        return self.folder / "arbiter.json"

    @property
    def refiled_file(self) -> Path:
        return self.folder / "refiled.csv"

    @property
    def skipped_file(self) -> Path:
        return self.folder / "skipped.txt"

    def settings(self) -> Pretrain:
        """Read the settings that the run was started with.

        Raises:
            UotaError: the folder is not that of a run.
        """
        try:
            return settings_in_file(Pretrain, read_json(self.settings_file), self.settings_file)
        except FileNotFoundError as error:
            raise UotaError(
                f"{self.folder} is not the folder of a run: it has no settings.json; "
                "give the folder that `uota pretrain --out` wrote"
            ) from error
        except (ValueError, OSError) as error:
            raise UotaError(f"{self.settings_file} cannot be read: {error}; fix it or start a new run") from error

    def state(self) -> dict[str, Any]:
        """Read the last checkpoint onto the CPU.

        Raises:
            UotaError: there is none, or it is damaged.
        """
        intact = find_intact_checkpoint(self.checkpoint)
        if intact is None:
            raise UotaError(f"{self.folder} has no checkpoint yet; let `uota pretrain` write one")
        return read_checkpoint(intact)

    def epochs_done(self) -> int:
        """Return the number of epochs before the last checkpoint; at the end of a run, a last one that ended early too.

        Raises:
            UotaError: there is none, or it is damaged.
        """
        return self.state()["epoch"]

    def steps_done(self) -> int:
        """Return the number of steps before the last checkpoint.

        Raises:
            UotaError: there is none, or it is damaged.
        """
        return self.state()["global_step"]


def load_part(module: nn.Module, run: Run, part: str = "") -> None:
    """Load a run's checkpoint, or a part of it such as `method.encoder`, into a module.

    Raises:
        UotaError: its tensors do not fit the module, or are NaN or infinite.
    """
    prefix = f"{part}." if part else ""
    state = run.state()["state_dict"]
    weights = {key.removeprefix(prefix): state[key] for key in state if str(key).startswith(prefix)}
    check_finite(module, weights, run.checkpoint)
    wanted = module.state_dict()
    try:
        for key in weights.keys() & wanted.keys():
            if _is_floating(weights[key]) != _is_floating(wanted[key]):
                raise RuntimeError(f"{key} has another data type")
        module.load_state_dict(weights)
    except Exception as error:  # tensors may be sparse or quantised, or have other names or shapes
        remedy = "check whether one of them was copied from another run"
        if run.settings().is_of_older_version:
            remedy = (
                "an older version of uota wrote it, with other heads: evaluate or export its encoder, or use that one"
            )
        raise UotaError(f"{run.checkpoint} does not fit {run.settings_file} ({first_line(error)}); {remedy}") from error


def _is_floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
