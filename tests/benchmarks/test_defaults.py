"""The benchmark of the defaults: its runs, their commands, and the oracle."""

import torch

from benchmarks.defaults import Oracle, Run, command_of, main, runs_of
from benchmarks.lines import read_lines
from uota.methods.embedded import Embedded
from uota.settings.pretrain import Pretrain
from uota.training.setup import build_module


class Asked:
    data, seeds, arms, inject, settings = ["a b"], [0, 1], ["uniform", "oracle"], 0.25, ["steps=9", "size=[96, 64]"]


def test_there_is_a_run_for_each_data_seed_and_arm():
    runs = runs_of(Asked)
    assert len(runs) == 4
    assert runs[1] == Run("a b", 0, "oracle", 0.25, "{size: [96, 64], steps: 9}")
    assert runs[1].flat() == {
        "data": "a b",
        "seed": 0,
        "arbiter": "none",
        "inject": 0.25,
        "steps": 9,
        "size": [96, 64],
    }
    assert command_of(runs[1]).startswith("uota pretrain '--data=a b' --seed=0 --arbiter=none --inject=0.25")
    assert Pretrain.from_flat(**runs[1].flat()).optimization.steps == 9


def test_the_oracle_gives_wrong_views_no_weight():
    settings = Pretrain.from_flat(method="simclr", views="small", backbone="tiny", arbiter="none")
    module = build_module(settings, total_steps=1)
    oracle = Oracle(module.method, None, None, settings, 1)
    oracle.wrong = torch.tensor([[True, False], [False, False]])
    z = torch.zeros(2, 2, 4)
    weights, verdict = oracle._weigh(Embedded(z, z, [], []), 0.5)
    torch.testing.assert_close(weights.values, torch.tensor([[0.0, 1.0], [1.0, 1.0]]) * 4 / 3)
    assert verdict is None


def test_the_smallest_form_has_a_line_and_is_not_repeated(tmp_path, capsys):
    out = tmp_path / "lines.jsonl"
    for _ in range(2):
        main(["--tiny", f"--out={out}", "--arms", "oracle", "--inject", "0.25"])
    (row,) = read_lines(out)
    assert (row["arm"], row["steps"]) == ("oracle", 2)
    assert {"knn", "linear"} <= row["before"].keys() & row["after"].keys()
    assert "| oracle | 0.25 |" in capsys.readouterr().out
