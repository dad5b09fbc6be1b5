"""Checkpoints as files: which is whole, and what is read of it."""

import logging
import zipfile
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from uota.console import printable
from uota.errors import UotaError

logger = logging.getLogger(__name__)

# No training takes so many steps; larger numbers would overflow.
LARGEST_STEP = 2**53


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


def find_whole_checkpoint(checkpoint: Path) -> Path | None:
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


def find_resume_checkpoint(checkpoint: Path) -> Path | None:
    """As `find_whole_checkpoint`; that there is none yet, because a run was killed early, is said."""
    whole = find_whole_checkpoint(checkpoint)
    if whole is None:
        _say_once(f"{checkpoint.parent} has no checkpoint yet; it begins from its settings")
    return whole


@cache
def _say_once(sentence: str) -> None:
    logger.warning(printable(sentence))


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


def first_line(error: Exception) -> str:
    """Of an error whose text may be a page, enough to search for."""
    return " ".join(str(error).split())[:300] or type(error).__name__
