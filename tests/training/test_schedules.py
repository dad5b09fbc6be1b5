import math

import pytest

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.schedules import learning_rate

PAPER = Pretrain.from_flat(learning_rate=0.6, final_learning_rate=0.0006, warmup_steps=0, late_factor=2.0)


def rates(steps, total, settings, start=0.0):
    passes = settings.optimization.epochs or 1
    return [learning_rate(step, total, settings, start, total // passes) for step in steps]


def test_the_released_recipe_doubles_its_learning_rate_when_arbitration_starts():
    before, after = rates((99, 100), 204, PAPER, 100 / 204)
    assert before == pytest.approx(0.0006 + (0.6 - 0.0006) * (1 + math.cos(math.pi * 99 / 204)) / 2)
    assert after == pytest.approx(0.0006 + (1.2 - 0.0006) * (1 + math.cos(math.pi * 100 / 204)) / 2)


def test_warmup_is_linear_and_the_end_is_final():
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=10, final_learning_rate=0.1, epochs=10)
    assert rates((0, 4, 9, 10), 100, settings) == pytest.approx([0.0, 0.4, 0.9, 1.0])
    assert learning_rate(100, 100, settings) == pytest.approx(0.1)


def test_a_cosine_starts_where_the_warmup_ends():
    settings = Pretrain.from_flat(learning_rate=4.8, warmup_steps=6, epochs=10)
    assert rates((6, 18, 29), 30, settings) == pytest.approx(
        [4.8 * (1 + math.cos(math.pi * done / 24)) / 2 for done in (0, 12, 23)]
    )


def test_drops_divide_the_rate_by_ten():
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=0, drops=[0.6, 0.8], epochs=10)
    assert rates((0, 59, 60, 79, 80, 99), 100, settings) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_by_epoch_is_constant_within_an_epoch():
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=0, rate_per="epoch", epochs=4)
    by_epoch = [(1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates(range(12), 12, settings) == pytest.approx([rate for rate in by_epoch for _ in range(3)])


def test_a_cosine_by_epoch_end_has_the_rate_of_the_epochs_end():
    settings = Pretrain.from_flat(
        learning_rate=1.0, final_learning_rate=0.1, warmup_steps=0, epochs=4, rate_per="epoch_end"
    )
    by_epoch = [0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in (1, 2, 3, 4)]
    assert rates(range(12), 12, settings) == pytest.approx([rate for rate in by_epoch for _ in range(3)])


def test_drops_by_epoch_are_at_the_start_of_one():
    """Drops at 120 and 160 of 200 epochs, as in MoCo, start an epoch, however their shares are rounded."""
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=0, drops=[0.6, 0.8], rate_per="epoch", epochs=200)
    steps = (3 * 120 - 1, 3 * 120, 3 * 160 - 1, 3 * 160)
    assert rates(steps, 600, settings) == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize("rate_per", ["step", "epoch", "epoch_end"])
def test_a_warmup_changes_in_every_step(rate_per):
    """If the warm-up changed by epoch, the first epoch would have a rate of 0."""
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=6, rate_per=rate_per, epochs=4)
    assert rates(range(6), 12, settings) == pytest.approx([step / 6 for step in range(6)])


def test_a_warmup_that_ends_within_an_epoch_is_followed_by_the_peak_rate():
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=4, rate_per="epoch", epochs=4)
    by_epoch = [1, 1, *[(1 + math.cos(math.pi * (first - 4) / 8)) / 2 for first in (6, 6, 6, 9, 9, 9)]]
    assert rates(range(4, 12), 12, settings) == pytest.approx(by_epoch)


@pytest.mark.parametrize("rate_per", ["step", "epoch", "epoch_end"])
def test_a_run_shorter_than_its_warmup_stays_below_the_peak(rate_per):
    settings = Pretrain.from_flat(learning_rate=1.0, warmup_steps=40, rate_per=rate_per, epochs=4)
    assert rates(range(12), 12, settings) == pytest.approx([step / 40 for step in range(12)])


def test_drops_outside_training_are_refused():
    with pytest.raises(UotaError, match="a share of training above 0 and below 1"):
        Pretrain.from_flat(drops=[120.0])


def test_a_warmup_is_a_share_of_the_steps_unless_its_steps_are_given():
    """A run of 48 steps ends its warm-up, which 60 steps of it would not."""
    share = Pretrain.from_flat(learning_rate=1.0, steps=48)
    assert rates((0, 1, 4, 5, 48), 48, share) == pytest.approx([0, 0.2, 0.8, 1, 0])
    assert rates((12, 24), 48, share.replace_flat(warmup=0.5)) == pytest.approx([0.5, 1])
    assert rates((12, 24), 48, share.replace_flat(warmup_steps=48)) == pytest.approx([0.25, 0.5])


def test_an_epoch_that_ends_early_has_the_rates_of_a_whole_one():
    """Ten steps in passes of four: two whole epochs, and half of one."""
    settings = Pretrain.from_flat(learning_rate=1.0, warmup=0.0, steps=10)
    for rate_per, firsts in {"epoch": (0, 4, 8), "epoch_end": (4, 8, 10)}.items():
        expected = [(1 + math.cos(math.pi * firsts[step // 4] / 10)) / 2 for step in range(10)]
        found = [learning_rate(step, 10, settings.replace_flat(rate_per=rate_per), 0.0, 4) for step in range(10)]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "at"), [(10, (4, 8)), (3, (4, 4))])
def test_drops_by_epoch_are_moved_to_the_nearest_start_of_one(steps, at):
    """Of ten steps in passes of four, 0.5 is nearest to step 4 and 0.8 is step 8; three steps have no such start."""
    settings = Pretrain.from_flat(learning_rate=1.0, warmup=0.0, steps=steps, drops=[0.5, 0.8], rate_per="epoch")
    expected = [10.0 ** -sum(step >= each for each in at) for step in range(steps)]
    assert [learning_rate(step, steps, settings, 0.0, 4) for step in range(steps)] == pytest.approx(expected)


def test_the_late_factor_starts_with_the_arbitration_within_an_epoch():
    settings = Pretrain.from_flat(learning_rate=1.0, warmup=0.0, steps=10, late_factor=2.0, drops=[0.9])
    assert [learning_rate(step, 10, settings, 0.5, 4) for step in (4, 5)] == pytest.approx([1, 2])
