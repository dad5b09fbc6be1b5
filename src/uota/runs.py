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

from uota.arguments import settings_in_file
from uota.config import Pretrain
from uota.errors import UotaError
from uota.files import read_json
from uota.nn.weights import check_finite
from uota.text import printable

# No training takes so many steps; larger numbers would overflow.
LARGEST_STEP = 2**53

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
        whole = whole_checkpoint(self.checkpoint)
        if whole is None:
            raise UotaError(f"{self.folder} has no checkpoint yet; let `uota pretrain` write one")
        return read_checkpoint(whole)

    def epochs_done(self) -> int:
        """Whole epochs of training that the last checkpoint comes after.

        Raises:
            UotaError: there is none, or it is broken.
        """
        return self.state()["epoch"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, on the CPU.

    Raises:
        UotaError: it is broken, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise UotaError(f"{path} cannot be read; the file is broken: {first_line(error)}") from error
    if wrong := _wrong_content(state):
        raise UotaError(f"{path} is no checkpoint of a run: {wrong}; put a copy in its place, or start anew")
    return state


def _wrong_content(state: Any) -> str | None:
    """What a checkpoint lacks that everything here reads of it; None: nothing."""
    if not isinstance(state, dict):
        return f"it holds a {type(state).__name__}"
    weights = state.get("state_dict")
    if not isinstance(weights, dict) or not weights:
        return "it has no weights under the name state_dict"
    if strange := [key for key, value in weights.items() if not _is_state(key, value)]:
        return f"{strange[0]!r} in its state_dict is no tensor"
    for name in ("epoch", "global_step"):
        if not isinstance(state.get(name), int) or not 0 <= state[name] < LARGEST_STEP:
            return f"its {name} is {state.get(name)!r}"
    return None


def _is_state(key: Any, value: Any) -> bool:
    """Whether this is a tensor, or what a module says for itself (`get_extra_state`)."""
    return isinstance(key, str) and (isinstance(value, torch.Tensor) or key.endswith("_extra_state"))


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
    print(printable(sentence), file=sys.stderr)


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


def first_line(error: Exception) -> str:
    """Of an error whose text may be a page, enough to search for."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def holds_something(folder: Path) -> bool:
    """Whether a folder that is to be written to is there, and not empty; a lock alone is nothing.

    Raises:
        UotaError: it is a file, or may not be entered.
    """
    if folder.exists() and not folder.is_dir():
        raise UotaError(f"{folder} is a file; give --out a folder, new or empty")
    return folder.exists() and any(path.name != LOCK for path in folder.iterdir())


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
