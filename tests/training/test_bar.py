import re

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from uota.training.bar import RunBar
from uota.training.trainer import ignore_expected_warnings, make_trainer


class Slope(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, index):
        return (self.weight * batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def trained(tmp_path):
    def train(**length):
        trainer = make_trainer(tmp_path, [], bar=True, accelerator="cpu", logger=False, **length)
        with ignore_expected_warnings(".*GPU available.*", ".*No positive `max_epochs`.*"):
            trainer.fit(Slope(), DataLoader(torch.ones(4, 1)))
        return trainer

    return train


@pytest.mark.parametrize(("length", "steps"), [({"max_epochs": 3}, 12), ({"max_steps": 10}, 10)])
def test_one_bar_shows_all_steps_of_a_training(trained, monkeypatch, capsys, length, steps):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    bar = trained(**length).progress_bar_callback
    assert isinstance(bar, RunBar)
    (task,) = bar.progress.tasks
    assert (task.completed, task.total) == (steps, steps)
    said = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capsys.readouterr().out)
    assert re.search(rf"step ━+ {steps}/{steps} 0:\d\d:\d\d elapsed, 0:00:00 left", said)


def test_there_is_no_bar_without_a_terminal(trained, capsys):
    assert trained(max_epochs=1).progress_bar_callback is None
    assert not capsys.readouterr().out
