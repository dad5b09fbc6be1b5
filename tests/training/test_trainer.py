import re

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from uota.training.trainer import ignore_expected_warnings, make_trainer


class Slope(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, index):
        return (self.weight * batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_the_bar_counts_epochs_from_one(tmp_path, capsys):
    trainer = make_trainer(tmp_path, [], bar=True, accelerator="cpu", max_epochs=3, logger=False)
    with ignore_expected_warnings(".*GPU available.*"):
        trainer.fit(Slope(), DataLoader(torch.ones(4, 1)))
    assert set(re.findall(r"Epoch \d+/\d+", capsys.readouterr().out)) >= {"Epoch 3/3"}
