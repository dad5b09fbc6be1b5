"""A run's folder: what pretraining leaves there and what everything else reads.

settings.json           the settings, as `Pretrain`
checkpoint.ckpt         the last checkpoint, Lightning's format
logs/                   CSV (and TensorBoard) logs
linear.json, knn.json   evaluations
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uota.config import Pretrain
from uota.errors import UotaError
from uota.nn.encoder import Encoder
from uota.views import ViewPreset


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

    def settings(self) -> Pretrain:
        """What the run was started with.

        Raises:
            UotaError: this is no folder of a run.
        """
        try:
            return Pretrain(**json.loads(self.settings_file.read_text()))
        except FileNotFoundError as error:
            raise UotaError(
                f"{self.folder} is not the folder of a run: it has no settings.json; "
                "give the folder that `uota pretrain --out` wrote"
            ) from error
        except (json.JSONDecodeError, TypeError) as error:
            raise UotaError(f"{self.settings_file} cannot be read: {error}") from error

    def state(self) -> dict[str, Any]:
        """The last checkpoint, on the CPU.

        Raises:
            UotaError: there is none, or it is broken.
        """
        if not self.checkpoint.exists():
            raise UotaError(f"{self.folder} has no checkpoint yet; let `uota pretrain` write one")
        try:
            return torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            raise UotaError(f"{self.checkpoint} cannot be read; the file is broken: {error}") from error


def states_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def load_encoder(run: Run, preset: ViewPreset, backbone: str) -> Encoder:
    """The pretrained encoder of a run, in eval mode."""
    encoder = Encoder(backbone, preset.channels, preset.groups[0].size)
    weights = states_of(run.state()["state_dict"], "method.encoder.")
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UotaError(f"{run.checkpoint} does not fit backbone {backbone!r}: {error}") from error
    return encoder.eval()


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise UotaError(f"{path} cannot be written: {error.strerror}; make room or choose another folder") from error
