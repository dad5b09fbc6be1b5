"""The list of files: worst first, as text."""

import csv
import os

import pytest
import torch
from PIL import Image

from uota.data import open_groups
from uota.errors import UotaError
from uota.membership.files import FileVerdicts, write_verdicts


def test_equal_probabilities_are_listed_by_score():
    verdicts = FileVerdicts(torch.tensor([0.2, 1.0, 1.0, 0.0]), torch.tensor([0.1, 0.5, -0.5, -1.0]))
    assert verdicts.worst_first().tolist() == [2, 1, 0, 3]


@pytest.fixture
def folder(tmp_path):
    for thing in ("a", "b/c"):
        (tmp_path / "things" / thing).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / "things" / thing / f"{number}.png")
    return tmp_path / "things"


def test_the_list_names_file_group_and_probability_worst_first(folder, tmp_path):
    verdicts = FileVerdicts(torch.tensor([0.25, 0.0, 0.6, 0.75]), torch.zeros(4))
    write_verdicts(verdicts, open_groups(folder, "all"), torch.tensor([1, 1, 0, 0]), tmp_path / "list.csv")
    rows = list(csv.reader((tmp_path / "list.csv").read_text().splitlines()))
    assert rows == [
        ["file", "group", "outlier_probability", "fits_better"],
        [f"{folder}/b/c/1.png", "b/c", "0.7500", "a"],
        [f"{folder}/b/c/0.png", "b/c", "0.6000", "a"],
        [f"{folder}/a/0.png", "a", "0.2500", "b/c"],
        [f"{folder}/a/1.png", "a", "0.0000", "b/c"],
    ]


def test_undecodable_names_are_listed_as_text_and_damaged_files_are_not_listed(folder, tmp_path):
    odd = os.fsencode(folder) + b"/a/\xff.png"
    os.rename(folder / "a/0.png", odd)
    groups = open_groups(folder, "all")
    broken = folder / "a/1.png"
    broken.write_bytes(broken.read_bytes()[:40])
    groups.images(range(4))
    write_verdicts(FileVerdicts(torch.zeros(4), torch.zeros(4)), groups, torch.zeros(4).long(), tmp_path / "list.csv")
    written = (tmp_path / "list.csv").read_text(encoding="utf-8")
    assert odd.decode(errors="backslashreplace") in written
    assert "a/1.png" not in written
    assert written.count("\n") == 4


def test_an_unwritable_path_is_reported(folder, tmp_path):
    (tmp_path / "taken").mkdir()
    verdicts, groups = FileVerdicts(torch.zeros(4), torch.zeros(4)), open_groups(folder, "all")
    with pytest.raises(UotaError, match="is a folder; give the name of a file in it"):
        write_verdicts(verdicts, groups, torch.zeros(4).long(), tmp_path / "taken")
