"""A run's folder: what pretraining leaves there and what everything else reads.

settings.json           the settings, as `Pretrain`
data.json               how many images there were, and a digest of their listing
checkpoint.ckpt         the last checkpoint, Lightning's format
checkpoint.before.ckpt  the one before it, in case that one is damaged
logs/                   CSV (and TensorBoard) logs
skipped.txt             the files that could not be read, if there are any
linear.json, knn.json …  evaluations; linear-sgd/ and finetune-*/ hold what those would resume from
detection/, segmentation/, keypoints/  transfers, with settings, checkpoint and logs of their own
.uota.lock              held by the process that trains

`uota.runs.folder` has the same as a list, by which --overwrite removes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uota.encoders.weights import check_finite
from uota.errors import UotaError
from uota.io.reading import read_json
from uota.runs.checkpoints import find_whole_checkpoint, first_line, read_checkpoint
from uota.settings.parsing import settings_in_file
from uota.settings.pretrain import Pretrain


@dataclass(frozen=True)
class Run:
    """A folder of a pretraining run."""

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
    def skipped_file(self) -> Path:
        return self.folder / "skipped.txt"

    def settings(self) -> Pretrain:
        """What the run was started with.

        Raises:
            UotaError: this is no folder of a run.
        """
        try:
            return settings_in_file(Pretrain, read_json(self.settings_file), self.settings_file)
        except FileNotFoundError as error:
            raise UotaError(
                f"{self.folder} is not the folder of a run: it has no settings.json; "
                "give the folder that `uota pretrain --out` wrote"
            ) from error
        except (ValueError, OSError) as error:
            raise UotaError(f"{self.settings_file} cannot be read: {error}; mend it or start a new run") from error

    def state(self) -> dict[str, Any]:
        """The last checkpoint, on the CPU.

        Raises:
            UotaError: there is none, or it is broken.
        """
        whole = find_whole_checkpoint(self.checkpoint)
        if whole is None:
            raise UotaError(f"{self.folder} has no checkpoint yet; let `uota pretrain` write one")
        return read_checkpoint(whole)

    def epochs_done(self) -> int:
        """Whole epochs of training that the last checkpoint comes after.

        Raises:
            UotaError: there is none, or it is broken.
        """
        return self.state()["epoch"]


def load_part(module: nn.Module, run: Run, part: str = "") -> None:
    """Load a run's checkpoint, or one part of it, e.g. `method.encoder`, into a module.

    Raises:
        UotaError: it is of another shape, or has weights that are NaN or infinite.
    """
    prefix = f"{part}." if part else ""
    state = run.state()["state_dict"]
    weights = {key.removeprefix(prefix): state[key] for key in state if str(key).startswith(prefix)}
    check_finite(module, weights, run.checkpoint)
    wanted = module.state_dict()
    try:
        for key in weights.keys() & wanted.keys():
            if _is_floating(weights[key]) != _is_floating(wanted[key]):
                raise RuntimeError(f"{key} has numbers of another type")
        module.load_state_dict(weights)
    except Exception as error:  # tensors can be anything: sparse, quantised, of other names or shapes
        why = "was one of them copied from another run?"
        if run.settings().is_of_older_version:
            why = (
                "an older version of uota wrote them, whose heads were others. Evaluate or export its encoder, or use "
                "that version"
            )
        raise UotaError(f"{run.checkpoint} does not fit {run.settings_file}; {why} ({first_line(error)})") from error


def _is_floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
