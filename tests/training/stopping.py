"""Runs that are stopped in the middle."""

import signal
from unittest.mock import patch

import pytest

from uota.errors import UotaError
from uota.runs.run import Run
from uota.training.checkpoints import Checkpoints
from uota.training.pretrain import pretrain


def whole_and_resumed(settings, folder):
    """Return the states of a run, and of one that is stopped by Ctrl-C at step 4 and resumed; both have 9 steps."""
    whole = pretrain(settings, folder / "whole", bar=False, lines=False)
    after_step = Checkpoints.on_train_batch_end

    def ctrl_c_at_step_4(self, trainer, *arguments):
        if trainer.global_step == 4:
            signal.raise_signal(signal.SIGINT)
        after_step(self, trainer, *arguments)

    with (
        patch.object(Checkpoints, "on_train_batch_end", ctrl_c_at_step_4),
        pytest.raises(UotaError, match="stopped at step 4"),
    ):
        pretrain(settings, folder / "run", bar=False, lines=False)
    resumed = pretrain(settings, folder / "run", resume=True, bar=False, lines=False)
    one, other = (Run(run.folder).state() for run in (whole, resumed))
    assert one["global_step"] == other["global_step"] == 9
    return one, other
