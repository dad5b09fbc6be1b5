from types import SimpleNamespace

import pytest

from uota.training.estimate import Estimate, duration


def test_the_duration_follows_from_the_steps_that_are_timed(monkeypatch, capsys):
    now = iter([100.0, 106.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    estimate = Estimate(305)
    for step in range(1, 9):
        trainer = SimpleNamespace(global_step=step, is_global_zero=True)
        estimate.on_train_batch_end(trainer, None, None, None, step)
    assert capsys.readouterr().out == "the other 300 steps will take about 10 minutes\n"


@pytest.mark.parametrize(("seconds", "said"), [(10, "about 1 minutes"), (7300, "about 2.0 hours")])
def test_durations_in_words(seconds, said):
    assert duration(seconds) == said
