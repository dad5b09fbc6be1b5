"""All arbiters observe the same run without changing it."""

import torch

from benchmarks import telling_outliers
from benchmarks.telling_outliers import watch
from benchmarks.worth.run import Training
from uota.data.demo.embedded import open_demo
from uota.data.memory import TensorSource
from uota.settings.pretrain import Pretrain


def test_each_part_and_arbiter_has_a_row_whether_the_encoder_trains_or_not(monkeypatch):
    trainings = []

    class Kept(Training):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            encoder = self.module.method.encoder
            trainings.append((encoder, [parameter.clone() for parameter in encoder.parameters()]))

    monkeypatch.setattr(telling_outliers, "Training", Kept)
    source = TensorSource("demo", open_demo("train").pixels[:144], default_views="small-grey")
    settings = Pretrain.from_flat(arbiter="none", data="demo", inject=0.25, epochs=1, batch_size=16, warmup_steps=1)
    for train in (True, False):
        rows = watch(settings, source, train)  # 9 steps in 8 parts, the last with two steps
        assert [row["done"] for row in rows[::4]] == [part / 8 for part in range(1, 9)]
        assert {row["arbiter"] for row in rows} == {
            *("mahalanobis", "two_groups", "learned on thumbnails", "learned on features")
        }
        encoder, before = trainings[-1]
        same = all(torch.equal(old, new) for old, new in zip(before, encoder.parameters(), strict=True))
        assert same is not train
