import math

import pytest

from uota.config import Pretrain
from uota.errors import UotaError
from uota.training.schedules import learning_rate

PAPER = Pretrain(learning_rate=0.6, final_learning_rate=0.0006, warmup_steps=0, late_factor=2.0)


def test_the_released_recipe_doubles_its_learning_rate_when_arbitration_starts():
    before, after = (learning_rate(step, 200, PAPER, 0.5) for step in (99, 100))
    assert before == pytest.approx(0.0006 + (0.6 - 0.0006) * (1 + math.cos(math.pi * 99 / 200)) / 2)
    assert after == pytest.approx(0.0006 + (1.2 - 0.0006) * 0.5)


def test_warmup_is_linear_and_the_end_is_final():
    settings = Pretrain(learning_rate=1.0, warmup_steps=10, final_learning_rate=0.1)
    assert [learning_rate(step, 100, settings) for step in (0, 4, 10)] == pytest.approx([0.0, 0.4, 1.0])
    assert learning_rate(100, 100, settings) == pytest.approx(0.1)


def test_an_epoch_may_have_the_rate_of_its_end():
    settings = Pretrain(learning_rate=1.0, final_learning_rate=0.1, warmup_steps=0, epochs=4, rate_per="epoch_end")
    rates = [0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in (1, 2, 3, 4) for _ in range(3)]
    assert [learning_rate(step, 12, settings) for step in range(12)] == pytest.approx(rates)


def test_drops_divide_the_rate_by_ten():
    settings = Pretrain(learning_rate=1.0, warmup_steps=0, drops=[0.6, 0.8])
    assert [learning_rate(step, 100, settings) for step in (0, 59, 60, 79, 80, 99)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_drops_outside_training_are_refused():
    with pytest.raises(UotaError, match="a share of training above 0 and below 1"):
        Pretrain(drops=[120.0])
