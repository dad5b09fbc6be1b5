"""Checkpoint files: reading them, and finding one that is not damaged."""

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

# Upper bound of the step counts in a checkpoint; no training reaches it, and larger numbers could overflow.
LARGEST_STEP = 2**53


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UotaError: the file is damaged, or is not a checkpoint of a run.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise UotaError(f"{path} cannot be read: {first_line(error)}; replace it with a copy, or start over") from error
    if wrong := _wrong_content(state):
        raise UotaError(f"{path} is not a checkpoint of a run: {wrong}; replace it with a copy, or start over")
    return state


def _wrong_content(state: Any) -> str | None:
    """Describe what a checkpoint lacks of the content that this package reads; None: nothing."""
    if not isinstance(state, dict):
        return f"it holds a {type(state).__name__}"
    weights = state.get("state_dict")
    if not isinstance(weights, dict) or not weights:
        return "it has no weights under the name state_dict"
    if strange := [key for key, value in weights.items() if not _is_state(key, value)]:
        return f"{strange[0]!r} in its state_dict is not a tensor"
    for name in ("epoch", "global_step"):
        if not isinstance(state.get(name), int) or not 0 <= state[name] < LARGEST_STEP:
            return f"its {name} is {state.get(name)!r}"
    return None


def _is_state(key: Any, value: Any) -> bool:
    """Whether an entry of a state dict is a tensor or a module's extra state (`get_extra_state`)."""
    return isinstance(key, str) and (isinstance(value, torch.Tensor) or key.endswith("_extra_state"))


def previous_checkpoint(checkpoint: Path) -> Path:
    """Return the path at which the previous checkpoint is kept."""
    return checkpoint.with_suffix(".before.ckpt")


def find_intact_checkpoint(checkpoint: Path) -> Path | None:
    """Return the last checkpoint, or with a warning the previous one if the last is damaged; None: there is neither.

    Raises:
        UotaError: there are checkpoints, and all of them are damaged.
    """
    damaged: list[str] = []
    for path in (checkpoint, previous_checkpoint(checkpoint)):
        if not path.is_file():
            continue
        damage = find_damage(path)
        if damage is None:
            if damaged:
                _warn_once(f"{damaged[0]}; using the previous checkpoint, {path}")
            return path
        damaged.append(f"{path} is damaged: {damage}")
    if damaged:
        raise UotaError(f"{'; '.join(damaged)}; replace it with a copy, or start over")
    return None


def remove_if_damaged(checkpoint: Path) -> None:
    """Remove a damaged checkpoint, so that saving does not replace the intact previous one with it."""
    if checkpoint.is_file() and find_damage(checkpoint):
        checkpoint.unlink()


def find_resume_checkpoint(checkpoint: Path) -> Path | None:
    """Return what `find_intact_checkpoint` does, and warn if the run was killed before its first checkpoint."""
    intact = find_intact_checkpoint(checkpoint)
    if intact is None:
        _warn_once(f"{checkpoint.parent} has no checkpoint yet; training starts from its settings")
    return intact


@cache
def _warn_once(sentence: str) -> None:
    logger.warning(printable(sentence))


def find_damage(checkpoint: Path) -> str | None:
    """Describe the damage of a checkpoint file, by the checksums that PyTorch writes but never checks; None: intact."""
    return _damage(checkpoint, checkpoint.stat().st_mtime_ns)


@cache
def _damage(checkpoint: Path, written: int) -> str | None:
    """Check a file; the result is cached until the file's modification time changes."""
    try:
        with zipfile.ZipFile(checkpoint) as parts:
            changed = parts.testzip()
        if changed:
            return f"its part {changed} has changed since it was written"
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)  # also reads the archive's directory
    except UnpicklingError:
        return None  # the file is intact but its content is rejected, which `read_checkpoint` reports
    except Exception as error:  # damage can look like another compression, encryption or impossible sizes
        return str(error).partition("\n")[0]
    return None


def first_line(error: Exception) -> str:
    """Return the beginning of an error's message, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
