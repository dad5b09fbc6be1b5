"""How long the demo is."""

from typing import NamedTuple


class Length(NamedTuple):
    """How long the demo is; the defaults take less than five minutes on two idle cores.

    Attributes:
        steps: of each training run.
        batch_size: things per step.
        things: things to train on, and to test on; None: all.
    """

    steps: int = 50
    batch_size: int = 64
    things: int | None = None
