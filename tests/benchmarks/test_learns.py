"""The benchmark of whether methods learn: its runs, and the statistics over seeds."""

from math import isnan

import pytest
from scipy import stats

from benchmarks.learns import Cell, Run, compare, runs_of, settings_of, summarise, table

BEFORE = (50.0, 52.0, 51.0)
AFTER = (40.0, 44.0, 39.0)
SWAV = Cell("swav", "demo-scenes", "none", "cpu")


def rows(linear: tuple[float, ...], cell: Cell = SWAV) -> list[dict]:
    return [cell._asdict() | {"seed": seed, "linear": value, "knn": value - 5} for seed, value in enumerate(linear)]


def test_the_mean_has_the_interval_of_student():
    (estimate,) = summarise(rows(BEFORE), "linear").values()

    low, high = stats.t.interval(0.95, 2, loc=51.0, scale=stats.sem(BEFORE))
    assert estimate.mean == pytest.approx(51.0)
    assert (estimate.mean - estimate.half, estimate.mean + estimate.half) == pytest.approx((low, high))


def test_a_change_has_the_interval_of_welch():
    change = compare(rows(BEFORE), rows(AFTER), "linear")[SWAV]

    # Welch–Satterthwaite, written out: variances 1 and 7 of three seeds each.
    error = (1 / 3 + 7 / 3) ** 0.5
    freedom = (1 / 3 + 7 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (7 / 3) ** 2 / 2)
    assert change.difference == pytest.approx(-10.0)
    assert change.half == pytest.approx(stats.t.ppf(0.975, freedom) * error)
    assert change.lost


def test_a_decrease_within_the_spread_is_no_loss():
    assert not compare(rows(BEFORE), rows((49.0, 52.0, 50.0)), "linear")[SWAV].lost


def test_one_seed_has_no_interval_and_is_no_loss():
    change = compare(rows(BEFORE[:1]), rows(AFTER), "linear")[SWAV]
    assert isnan(change.half)
    assert not change.lost


def test_only_common_cells_are_compared():
    on_card = SWAV._replace(device="cuda")
    assert compare(rows(BEFORE), rows(AFTER, on_card), "linear") == {}


def test_the_table_has_a_line_per_cell_and_marks_losses():
    lines = list(table(rows(BEFORE), [*rows(AFTER), *rows(AFTER, SWAV._replace(method="byol"))]))
    assert [line.count("|") for line in lines] == [12] * 4
    assert lines[2].startswith("| byol | demo-scenes | none | cpu | 3 |  | 41.0 ± 6.6 |  |")
    assert "| 51.0 ± 2.5 | 41.0 ± 6.6 | -10.0 ± 5.7 lost |" in lines[3]


def test_there_is_a_run_for_each_seed_method_and_arm():
    found = runs_of(["swav", "simclr:demo-scenes-colour"], [0, 1], ["none", "untrained"])
    assert len(found) == len(set(found)) == 8
    assert found[:2] == [Run("swav", "demo-scenes", 0, "none"), Run("swav", "demo-scenes", 0, "untrained")]
    assert Run("simclr", "demo-scenes-colour", 1, "none") in found


def test_a_run_uses_its_recipe_seed_and_arm():
    plain, learned, untrained = (
        settings_of(Run("simsiam", "demo-scenes", 2, arm)).as_flat() for arm in ("none", "learned", "untrained")
    )
    expected = {"method": "simsiam", "seed": 2, "arbiter": "none", "accelerator": "cpu"}
    assert {name: plain[name] for name in expected} == expected
    assert (learned["arbiter"], learned["eyes"]) == ("learned", "features")
    assert learned["batch_size"] == plain["batch_size"]
    assert untrained["method"] == "random"
    assert settings_of(Run("cmc", "demo-scenes-colour", 0, "untrained")).optimization.learning_rate == 0.0
    assert settings_of(Run("swav", "demo-scenes", 0, "none", "cuda")).runtime.accelerator == "gpu"
