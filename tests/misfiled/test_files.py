import csv
import os

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from uota.arbitration import Arbiter
from uota.data import Groups, open_groups
from uota.errors import UotaError
from uota.misfiled.files import (
    BATCH,
    FileVerdicts,
    iter_batches,
    require_groups,
    score_files,
    score_files_by_halves,
    write_verdicts,
)
from uota.training.arbiter_inputs import thumbnails
from uota.views import PRESETS, ViewPipeline

THINGS, FILES, WRONG = 48, 5, 12
PRESET = PRESETS["small-groups"]


@pytest.fixture(scope="module")
def filed(lit_patterns):
    """Groups of images of 3×3 colours in five lights; twelve images have been moved to each other's folders."""
    folder = torch.arange(THINGS).repeat_interleave(FILES)
    moved = torch.arange(WRONG) * FILES * 3
    wrong = folder.clone()
    wrong[moved] = folder[moved.roll(1)]
    files = lit_patterns(THINGS, FILES)
    return Groups(files, [torch.nonzero(wrong == thing)[:, 0].tolist() for thing in range(THINGS)]), wrong != folder


def extract(views):
    return thumbnails(views.by_size)


def train(groups, steps=60):
    arbiter, pipeline = Arbiter("learned"), ViewPipeline(PRESET, seed=7)
    for step in range(steps):
        arbiter(extract(pipeline(groups, [(step, index) for index in range(len(groups))])))
    return arbiter.score


def test_misfiled_files_come_first(filed):
    groups, wrong = filed
    verdicts = score_files(groups, ViewPipeline(PRESET), train(groups), extract, draws=4, bar=False)
    assert average_precision_score(wrong, -verdicts.worst_first().argsort()) > 0.95
    assert verdicts.probability.shape == verdicts.score.shape == (THINGS * FILES,)


def test_a_score_trained_on_other_groups_gives_calibrated_probabilities(filed):
    groups, wrong = filed
    verdicts = score_files_by_halves(groups, ViewPipeline(PRESET), train, extract, draws=4, bar=False)
    assert average_precision_score(wrong, verdicts.probability) > 0.95
    assert verdicts.probability[wrong].mean() > 0.5
    assert verdicts.probability[~wrong].mean() < 0.05
    again = score_files_by_halves(groups, ViewPipeline(PRESET), train, extract, draws=4, bar=False)
    assert torch.equal(verdicts.probability, again.probability)


def test_scoring_does_not_train_the_score_and_skips_files_in_no_group(filed):
    groups, score = Groups(filed[0].files, filed[0].members[:20]), train(filed[0], steps=2)
    before = {name: value.clone() for name, value in score.head.state_dict().items()}
    verdicts = score_files(groups, ViewPipeline(PRESET), score, extract, draws=1, bar=False)
    assert all(torch.equal(value, before[name]) for name, value in score.head.state_dict().items())
    shown = sorted(index for group in groups.members for index in group)
    assert torch.nonzero(~verdicts.probability.isnan())[:, 0].tolist() == shown


def test_equal_probabilities_are_listed_by_score():
    verdicts = FileVerdicts(torch.tensor([0.2, 1.0, 1.0, 0.0]), torch.tensor([0.1, 0.5, -0.5, -1.0]))
    assert verdicts.worst_first().tolist() == [2, 1, 0, 3]


def test_chunks_cover_every_file_and_no_batch_has_two_of_one_group():
    sizes = (*[2] * 150, 6, 7, 100)
    starts = np.cumsum([0, *sizes])
    members = [range(start, start + size) for start, size in zip(starts, sizes, strict=False)]
    home = np.repeat(np.arange(len(sizes)), sizes)
    batches = list(iter_batches(members, 6, np.random.default_rng(0)))
    assert len(batches) == 2 + 16  # the first turn, and the others while the largest group has chunks
    for chunks in batches:
        groups = [set(home[list(chunk)]) for chunk in chunks]
        assert all(len(group) == 1 for group in groups)
        assert len(set.union(*groups)) == len(chunks)
        assert BATCH // 2 <= len(chunks) <= BATCH
        assert all(
            len(set(chunk)) == len(chunk) == min(6, sizes[group.pop()])
            for chunk, group in zip(chunks, groups, strict=True)
        )
    assert {index for chunks in batches for chunk in chunks for index in chunk} == set(range(sum(sizes)))


def test_too_few_groups_are_refused(filed):
    require_groups(filed[0], THINGS)
    with pytest.raises(UotaError, match="at least 49"):
        require_groups(filed[0], THINGS + 1)


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
    assert odd.decode(errors="replace") in written
    assert "a/1.png" not in written
    assert written.count("\n") == 4


def test_an_unwritable_path_is_reported(folder, tmp_path):
    (tmp_path / "taken").mkdir()
    verdicts, groups = FileVerdicts(torch.zeros(4), torch.zeros(4)), open_groups(folder, "all")
    with pytest.raises(UotaError, match="is a folder; give the name of a file in it"):
        write_verdicts(verdicts, groups, torch.zeros(4).long(), tmp_path / "taken")
