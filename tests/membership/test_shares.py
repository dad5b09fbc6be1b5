"""Several processes write the table of one: torchrun's environment is all that the command is given."""

import csv

import numpy as np
import pytest
from tests.processes import run_commands_on_ranks

from uota.commands.cli import main


def listing(folder, name):
    members, groups = (str(folder / f"{each}.npy") for each in ("members", "groups"))
    outputs = (
        f"--table={folder}/{name}.csv",
        f"--groups-table={folder}/{name}-groups.csv",
        f"--out={folder}/{name}.html",
    )
    return ["misfiled", members, f"--group={groups}", *outputs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("members"), np.random.default_rng(0)
    home = np.repeat(np.arange(61), 6)  # no number of processes divides it
    members = random.standard_normal((61, 16))[home] + 0.9 * random.standard_normal((366, 16))
    group = home.copy()
    group[:300:12] = np.roll(home[:300:12], 1)
    group[-1] = 61  # alone in a group
    np.save(folder / "members.npy", members.astype(np.float32))
    np.save(folder / "groups.npy", group)
    assert main(listing(folder, "1")) == 0
    return folder


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_tables_are_those_of_one_process(folder, ranks):
    run_commands_on_ranks([listing(folder, str(ranks))], ranks)
    for table, name in (("", "id"), ("-groups", "group")):
        found, expected = (by_name(folder / f"{each}{table}.csv", name) for each in (ranks, 1))
        assert found.keys() == expected.keys()
        for key, row in expected.items():
            assert_same(found[key], row)


def by_name(path, name):
    with path.open(newline="") as file:
        heading, *rows = csv.reader(file)
    return {row[heading.index(name)]: dict(zip(heading, row, strict=True)) for row in rows}


def assert_same(found, expected):
    """Assert that texts are equal and numbers are but for rounding."""
    for column, value in expected.items():
        if "probability" in column or column in ("fdr", "expected_wrong"):
            assert float(found[column]) == pytest.approx(float(value), abs=2e-4)
        else:
            assert found[column] == value
