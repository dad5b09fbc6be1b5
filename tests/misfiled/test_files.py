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
    """Things are patterns of 3×3 colours, in five lights; twelve images have passed their folders on in a ring."""
    folder = torch.arange(THINGS).repeat_interleave(FILES)
    moved = torch.arange(WRONG) * FILES * 3
    wrong = folder.clone()
    wrong[moved] = folder[moved.roll(1)]
    files = lit_patterns(THINGS, FILES)
    return Groups(files, [torch.nonzero(wrong == thing)[:, 0].tolist() for thing in range(THINGS)]), wrong != folder


def see(views):
    return thumbnails(views.by_size)


def learned(groups, steps=60):
    arbiter, pipeline = Arbiter("learned"), ViewPipeline(PRESET, seed=7)
    for step in range(steps):
        arbiter(see(pipeline(groups, [(step, index) for index in range(len(groups))])))
    return arbiter.score


def test_files_in_a_wrong_folder_are_first_on_the_list(filed):
    groups, wrong = filed
    judged = score_files(groups, ViewPipeline(PRESET), learned(groups), see, draws=4, bar=False)
    assert average_precision_score(wrong, -judged.worst_first().argsort()) > 0.95
    assert judged.probability.shape == judged.score.shape == (THINGS * FILES,)


def test_a_score_that_learned_on_other_groups_says_how_probably_a_file_is_wrong(filed):
    groups, wrong = filed
    judged = score_files_by_halves(groups, ViewPipeline(PRESET), learned, see, draws=4, bar=False)
    assert average_precision_score(wrong, judged.probability) > 0.95
    assert judged.probability[wrong].mean() > 0.5
    assert judged.probability[~wrong].mean() < 0.05
    again = score_files_by_halves(groups, ViewPipeline(PRESET), learned, see, draws=4, bar=False)
    assert torch.equal(judged.probability, again.probability)


def test_judging_neither_trains_the_score_nor_says_anything_of_files_in_no_group(filed):
    groups, score = Groups(filed[0].files, filed[0].members[:20]), learned(filed[0], steps=2)
    before = {name: value.clone() for name, value in score.head.state_dict().items()}
    judged = score_files(groups, ViewPipeline(PRESET), score, see, draws=1, bar=False)
    assert all(torch.equal(value, before[name]) for name, value in score.head.state_dict().items())
    shown = sorted(index for group in groups.members for index in group)
    assert torch.nonzero(~judged.probability.isnan())[:, 0].tolist() == shown


def test_equal_probabilities_are_listed_by_score():
    judged = FileVerdicts(torch.tensor([0.2, 1.0, 1.0, 0.0]), torch.tensor([0.1, 0.5, -0.5, -1.0]))
    assert judged.worst_first().tolist() == [2, 1, 0, 3]


def test_hands_show_every_file_and_no_batch_has_two_of_one_group():
    sizes = (*[2] * 150, 6, 7, 100)
    starts = np.cumsum([0, *sizes])
    members = [range(start, start + size) for start, size in zip(starts, sizes, strict=False)]
    home = np.repeat(np.arange(len(sizes)), sizes)
    batches = list(iter_batches(members, 6, np.random.default_rng(0)))
    assert len(batches) == 2 + 16  # of the first turn, and of the others while the largest group has hands
    for hands in batches:
        groups = [set(home[list(hand)]) for hand in hands]
        assert all(len(group) == 1 for group in groups)
        assert len(set.union(*groups)) == len(hands)
        assert BATCH // 2 <= len(hands) <= BATCH
        assert all(
            len(set(hand)) == len(hand) == min(6, sizes[group.pop()]) for hand, group in zip(hands, groups, strict=True)
        )
    assert {index for hands in batches for hand in hands for index in hand} == set(range(sum(sizes)))


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
    judged = FileVerdicts(torch.tensor([0.25, 0.0, 0.6, 0.75]), torch.zeros(4))
    write_verdicts(judged, open_groups(folder, None), torch.tensor([1, 1, 0, 0]), tmp_path / "list.csv")
    rows = list(csv.reader((tmp_path / "list.csv").read_text().splitlines()))
    assert rows == [
        ["file", "group", "outlier_probability", "fits_better"],
        [f"{folder}/b/c/1.png", "b/c", "0.7500", "a"],
        [f"{folder}/b/c/0.png", "b/c", "0.6000", "a"],
        [f"{folder}/a/0.png", "a", "0.2500", "b/c"],
        [f"{folder}/a/1.png", "a", "0.0000", "b/c"],
    ]


def test_names_that_are_no_text_are_listed_as_text_and_broken_files_are_not(folder, tmp_path):
    odd = os.fsencode(folder) + b"/a/\xff.png"
    os.rename(folder / "a/0.png", odd)
    groups = open_groups(folder, None)
    broken = folder / "a/1.png"
    broken.write_bytes(broken.read_bytes()[:40])
    groups.images(range(4))
    write_verdicts(FileVerdicts(torch.zeros(4), torch.zeros(4)), groups, torch.zeros(4).long(), tmp_path / "list.csv")
    written = (tmp_path / "list.csv").read_text(encoding="utf-8")
    assert odd.decode(errors="replace") in written
    assert "a/1.png" not in written
    assert written.count("\n") == 4


def test_a_list_that_cannot_be_written_says_so(folder, tmp_path):
    (tmp_path / "taken").mkdir()
    judged, groups = FileVerdicts(torch.zeros(4), torch.zeros(4)), open_groups(folder, None)
    with pytest.raises(UotaError, match="is a folder; give the name of a file in it"):
        write_verdicts(judged, groups, torch.zeros(4).long(), tmp_path / "taken")
