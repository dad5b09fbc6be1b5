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

`uota.run_folder` has the same as a list, by which --overwrite removes.
"""

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from uota.config import Pretrain
from uota.errors import UotaError

# In each folder that a process trains in, or writes shards to.
LOCK = ".uota.lock"


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
            return Pretrain(**json.loads(self.settings_file.read_text()))
        except FileNotFoundError as error:
            raise UotaError(
                f"{self.folder} is not the folder of a run: it has no settings.json; "
                "give the folder that `uota pretrain --out` wrote"
            ) from error
        except (ValueError, TypeError, OSError) as error:
            raise UotaError(f"{self.settings_file} cannot be read: {error}; mend it or start a new run") from error

    def state(self) -> dict[str, Any]:
        """The last checkpoint, on the CPU.

        Raises:
            UotaError: there is none, or it is broken.
        """
        whole = whole_checkpoint(self.checkpoint)
        if whole is None:
            raise UotaError(f"{self.folder} has no checkpoint yet; let `uota pretrain` write one")
        try:
            return torch.load(whole, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            raise UotaError(f"{whole} cannot be read; the file is broken: {error}") from error

    def epochs_done(self) -> int:
        """Whole epochs of training that the last checkpoint comes after.

        Raises:
            UotaError: there is none, or it is broken.
        """
        return int(self.state()["epoch"])


def checkpoint_before(checkpoint: Path) -> Path:
    """Where the one that was written before the last is kept."""
    return checkpoint.with_suffix(".before.ckpt")


def whole_checkpoint(checkpoint: Path) -> Path | None:
    """The last checkpoint; if it is not as it was written, the one before it, and that is said. None: there is neither.

    Raises:
        UotaError: all there is is damaged.
    """
    damaged: list[str] = []
    for path in (checkpoint, checkpoint_before(checkpoint)):
        if not path.is_file():
            continue
        damage = damage_of(path)
        if damage is None:
            if damaged:
                _say_once(f"{damaged[0]}; the one before it is used, {path}")
            return path
        damaged.append(f"{path} is damaged: {damage}")
    if damaged:
        raise UotaError(f"{'; '.join(damaged)}. Start anew, or put a copy in its place")
    return None


def remove_if_damaged(checkpoint: Path) -> None:
    """So that it does not take the place of the one before it, which training went on from."""
    if checkpoint.is_file() and damage_of(checkpoint):
        checkpoint.unlink()


def checkpoint_to_go_on_from(checkpoint: Path) -> Path | None:
    """As `whole_checkpoint`; that there is none yet, because a run was killed early, is said."""
    whole = whole_checkpoint(checkpoint)
    if whole is None:
        _say_once(f"{checkpoint.parent} has no checkpoint yet; it begins from its settings")
    return whole


@cache
def _say_once(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def damage_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint file, by the checksums in it (PyTorch writes them, and does not look at them)."""
    return _damage(checkpoint, checkpoint.stat().st_mtime_ns)


@cache
def _damage(checkpoint: Path, written: int) -> str | None:
    """Each state of a file, known by when it was written, is read once."""
    try:
        with zipfile.ZipFile(checkpoint) as parts:
            changed = parts.testzip()
        if changed:
            return f"{changed} in it has changed since it was written"
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)  # reads a directory of the parts
    except UnpicklingError:
        return None  # as it was written, and refused: that is for its reader to say
    except Exception as error:  # damage can look like anything: another compression, encryption, impossible sizes
        return str(error).partition("\n")[0]
    return None


def load_part(module: nn.Module, run: Run, part: str = "") -> None:
    """Load a run's checkpoint, or one part of it, e.g. `method.encoder`, into a module.

    Raises:
        UotaError: it is of another shape.
    """
    prefix = f"{part}." if part else ""
    state = run.state()["state_dict"]
    try:
        module.load_state_dict({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})
    except RuntimeError as error:
        raise UotaError(
            f"{run.checkpoint} does not fit {run.settings_file}; was one of them copied from another run? {error}"
        ) from error


def holds_something(folder: Path) -> bool:
    """Whether a folder that is to be written to is there, and not empty; a lock alone is nothing.

    Raises:
        UotaError: it is a file, or may not be entered.
    """
    if folder.exists() and not folder.is_dir():
        raise UotaError(f"{folder} is a file; give --out a folder, new or empty")
    return folder.exists() and any(path.name != LOCK for path in folder.iterdir())


def refuse_unwritable(*files: Path) -> None:
    """Refuse files that cannot be written, before work is done for them.

    Raises:
        UotaError: one is a folder, or its folder may not be written to.
    """
    for file in files:
        with _written_beside(file) as unfinished:
            unfinished.touch()


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, never meets half of it."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="surrogateescape")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write a file that takes its name only when the block ends well.

    Raises:
        UotaError: it is a folder, or its folder is full or cannot be written to.
    """
    with _written_beside(path) as unfinished:
        yield unfinished
        os.replace(unfinished, path)


@contextmanager
def _written_beside(path: Path) -> Iterator[Path]:
    """A place in the same folder, which exists from now on; what is there at the end is removed."""
    if path.is_dir():
        raise UotaError(f"{path} is a folder; give the name of a file in it")
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
    except OSError as error:
        raise UotaError(f"{path} cannot be written: {error.strerror}; make room or choose another folder") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
