"""What a run prints and logs while it trains, and what it tells at its end."""

import csv
import re

import pytest

from uota.training.pretrain import pretrain


def logged(run):
    (log,) = (run.folder / "logs").glob("*/metrics.csv")
    return list(csv.DictReader(log.read_text().splitlines()))


@pytest.mark.parametrize(("steps", "lines"), [(5, [1, 2, 3, 4, 5]), (23, [*range(2, 23, 2), 23])])
def test_a_run_prints_at_most_twenty_lines_and_logs_every_epoch(small, tmp_path, capsys, steps, lines):
    """The passes of three steps over the pictures are shorter than what a line is about, or longer."""
    run = pretrain(small(epochs=None, steps=steps), tmp_path / "run", bar=True)
    said = capsys.readouterr().out
    assert [int(step) for step in re.findall(rf"^step (\d+)/{steps}  loss ", said, re.MULTILINE)] == lines
    assert said.count("ess: effective sample size") == 1  # explained once
    assert re.search(rf"^trained {steps} steps, in 0:\d\d:\d\d \(h:mm:ss\)", said, re.MULTILINE)
    ends = [row for row in logged(run) if row["loss"]]
    assert [int(row["step"]) for row in ends] == sorted({*range(2, steps, 3), steps - 1})


def test_lines_have_the_means_since_the_line_before(small, tmp_path, capsys):
    run = pretrain(small(epochs=None, steps=23, arbiter="none"), tmp_path / "run")
    said = capsys.readouterr().out
    losses = [float(row["step_loss"]) for row in logged(run) if row["step_loss"]]
    printed = [float(loss) for loss in re.findall(r"^step \d+/23  loss (\S+)", said, re.MULTILINE)]
    means = [sum(losses[first : first + 2]) / len(losses[first : first + 2]) for first in range(0, 23, 2)]
    assert printed == pytest.approx(means, rel=5e-3)
    assert f"loss {means[0]:.3g} → {means[-1]:.3g}" in said
    assert "outlier" not in said
