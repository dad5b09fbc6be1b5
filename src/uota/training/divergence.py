"""Detection of a training that has diverged, without waiting for the device in every step."""

from typing import Literal, get_args

import torch
from torch import Tensor

from uota.errors import UotaError

# Steps between two readings of what steps leave on the device, each of which waits for it: few beside the thousands of
# a run, and often enough for a person who watches.
READ_EVERY = 10

Watched = Literal["embeddings", "loss"]


class Divergence:
    """The first steps whose embeddings or loss were not finite, on the device until they are read."""

    def __init__(self) -> None:
        self._first: dict[Watched, Tensor] = {}

    def watch(self, x: Tensor, what: Watched, step: int) -> None:
        """Remember the step if it is the first in which an entry is NaN or infinite."""
        broken = ~x.detach().sum().isfinite()
        first = self._first.get(what, torch.full_like(broken, -1, dtype=torch.long))
        self._first[what] = torch.where(broken & (first < 0), step, first)

    def require_none(self) -> None:
        """Read what was remembered, which waits for the device.

        Raises:
            UotaError: the training has diverged.
        """
        found = {what: int(self._first[what]) for what in get_args(Watched) if what in self._first}
        broken = [(step, place, what) for place, (what, step) in enumerate(found.items()) if step >= 0]
        if broken:
            step, _, what = min(broken)
            raise UotaError(
                f"NaN or infinite {what} at step {step}: the training has diverged; lower learning_rate, "
                "or use precision 32 instead of bf16 or fp16; earlier checkpoints are intact"
            )
