"""The tables of the benchmark, whose statistics are those of the package."""

import pytest
from scipy import stats

from benchmarks.worth import filing
from benchmarks.worth.gains import cells, contrasts, gain, share_of_oracle
from benchmarks.worth.page import markdown
from benchmarks.worth.table import lines, over_methods, tables


def row(arm: str, seed: int, linear: float) -> dict:
    same = {"condition": "injected-25", "method": "swav", "knn": linear - 2, "milliseconds_an_image": 4.0}
    return same | {"arm": arm, "seed": seed, "linear": linear}


ROWS = [
    *(row("none", seed, linear) for seed, linear in enumerate((60.0, 64.0, 62.0))),
    *(row("learned", seed, linear) for seed, linear in enumerate((66.0, 68.0, 69.0))),
    *(row("oracle", seed, linear) for seed, linear in enumerate((70.0, 70.0, 70.0))),
]


def test_gains_are_paired_by_seed():
    found = gain(cells(ROWS), ("injected-25", "swav", "learned"), "linear")

    reference = stats.ttest_rel((66.0, 68.0, 69.0), (60.0, 64.0, 62.0))
    interval = reference.confidence_interval(0.95)
    assert found is not None
    assert found.mean == pytest.approx(17 / 3)
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((interval.low, interval.high))


def test_an_unpaired_seed_is_left_out():
    found = gain(cells([*ROWS, row("learned", 7, 0.0)]), ("injected-25", "swav", "learned"), "linear")
    assert found is not None
    assert found.pairs == 3


def test_the_share_is_that_of_the_mean_gain_of_the_oracle():
    assert share_of_oracle(cells(ROWS), ("injected-25", "swav", "learned")) == pytest.approx(17 / 24)


def test_the_share_uses_common_seeds():
    rows = [*ROWS, row("none", 7, 60.0), row("oracle", 7, 90.0)]
    assert share_of_oracle(cells(rows), ("injected-25", "swav", "learned")) == pytest.approx(17 / 24)


def test_an_oracle_without_gain_gives_no_share():
    rows = [row(arm, 0, 60.0) for arm in ("none", "learned", "oracle")]
    assert share_of_oracle(cells(rows), ("injected-25", "swav", "learned")) is None


def test_every_cell_has_a_line():
    table = list(lines(ROWS))
    assert [line[2] for line in table] == ["none", "learned", "oracle"]
    assert table[1][3:6] == ["3", "67.7 / 65.7", "+5.7 ± 3.8, p 0.023"]


def of(method: str, *, gained: float) -> list[dict]:
    return [row("none", 0, 60.0) | {"method": method}, row("learned", 0, 60.0 + gained) | {"method": method}]


def test_the_mean_gain_over_methods_excludes_swav():
    rows = [*ROWS, *of("byol", gained=1.0), *of("simclr", gained=4.0), *of("simsiam", gained=1.0)]

    (line,) = over_methods(rows)

    reference = stats.ttest_1samp((1.0, 4.0, 1.0), 0.0)
    assert line == ["injected-25", "learned", "3", *2 * [f"+2.0 ± 4.3, p {reference.pvalue:.2g}"]]


def test_arms_are_compared_on_common_seeds():
    linear = {"learned-features": (66.0, 68.0, 69.0), "shuffled": (65.0, 64.0, 66.0, 10.0)}
    rows = [row(arm, seed, value) for arm, values in linear.items() for seed, value in enumerate(values)]

    (line,) = contrasts(rows)

    reference = stats.ttest_1samp((1.0, 4.0, 3.0), 0.0)
    assert line[:5] == ["injected-25", "swav", "learned-features", "shuffled", "3"]
    assert line[5].startswith("+2.7 ± ")
    assert line[5].endswith(f"p {reference.pvalue:.2g}")


def test_empty_tables_are_not_shown():
    (table,) = tables(ROWS, [])
    assert markdown(table).splitlines()[2:4] == [
        "| condition | method | arm | seeds | linear / kNN | gain, linear | gain, kNN | share | AUROC | rate | ms |",
        "| " + " | ".join(["---"] * 11) + " |",
    ]


def test_accuracy_during_training_ends_with_the_result():
    along = [{"linear": 10.0 * part} for part in range(1, 8)]

    table = tables([ROWS[0] | {"way": along}], [])[-1]

    assert table.lines[0][3:] == ["1", *(f"{10.0 * part:.1f}" for part in range(1, 8)), "60.0"]


def of_groups(rate: float, arm: str, linear: float, **figures: float) -> dict:
    return {"rate": rate, "method": "swav", "arm": arm, "seed": 0, "linear": linear, "knn": linear} | figures


def test_groups_are_listed_by_the_misfiled_fraction():
    lists = {"listed_rate": 0.22, "ap_outliers": 0.9, "ap_cleanlab_neighbours": 0.3, "ap_cleanlab_centres": 0.8}
    rows = [of_groups(0.0, "none", 60.0), of_groups(0.25, "none", 50.0), of_groups(0.25, "oracle", 55.0, **lists)]
    rows.append(of_groups(0.25, "pixels", 40.0))

    table = tables(ROWS, rows)[1]

    assert [line[:5] for line in table.lines] == [
        ["groups-25", "swav", "none", "1", "50.0 / 50.0"],
        ["groups-25", "swav", "oracle", "1", "55.0 / 55.0"],
        ["groups-25", "no training", "pixels", "1", "40.0 / 40.0"],
        ["groups-0", "swav", "none", "1", "60.0 / 60.0"],
    ]
    assert table.lines[1][7:] == ["0.90", "0.80", "", "0.220"]
    assert len(table.columns) == len(table.lines[1]) == len(filing.HEADER)
