from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from uota.training.estimate import Estimate, duration


def test_the_duration_follows_from_the_steps_that_are_timed(monkeypatch, capsys):
    now = iter([100.0, 106.0])
    monkeypatch.setattr("uota.training.estimate.time", SimpleNamespace(perf_counter=lambda: next(now)))
    estimate, module = Estimate(305), Mock(spec=pl.LightningModule)
    for step in range(1, 9):
        trainer = Mock(spec=pl.Trainer, global_step=step, is_global_zero=True)
        estimate.on_train_batch_end(trainer, module, {"loss": torch.tensor(1.0)}, None, step)
    assert capsys.readouterr().out == "the other 300 steps will take about 10 minutes\n"


@pytest.mark.parametrize(("seconds", "said"), [(100.0, "about 2 minutes"), (7300.0, "about 2.0 hours")])
def test_durations_in_words(seconds, said):
    assert duration(seconds) == said
