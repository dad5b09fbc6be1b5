import pytest
import torch

from uota import inspect
from uota.data import Groups
from uota.errors import UotaError
from uota.inspection.analysis.filing import _nearest_other_group

THINGS, FILES, WRONG = 32, 5, 6


@pytest.fixture(scope="module")
def filed(lit_patterns):
    """Groups of images of 3×3 colours in five lights; the first file of every fifth group has moved to the next."""
    members = [list(range(thing * FILES, (thing + 1) * FILES)) for thing in range(THINGS)]
    moved = {5 * place * FILES: (5 * place, 5 * place + 1) for place in range(WRONG)}
    for file, (home, away) in moved.items():
        members[home].remove(file)
        members[away].append(file)
    return Groups(lit_patterns(THINGS, FILES), members), moved


def test_misfiled_files_are_found_with_the_group_that_they_would_fit_better(filed):
    groups, moved = filed
    found = inspect(groups, views="small-groups", seconds=6.0, files=True)
    filing = found.filing
    worst = filing.verdicts.worst_first()[:WRONG].tolist()
    assert len(set(worst) & set(moved)) >= WRONG - 1
    right = [int(filing.fits[file]) == home for file, (home, _) in moved.items()]
    assert sum(right) >= WRONG - 1
    assert all(int(filing.group[file]) == away for file, (_, away) in moved.items())
    assert 0 < found.misfiled < 0.15


def test_views_are_scored_by_an_arbiter_that_was_not_trained_on_their_groups(filed):
    groups, moved = filed
    found = inspect(groups, views="small-groups", seconds=6.0)
    trained_on, scored = (set(half) for half in found.subject.halves)
    assert not trained_on & scored
    assert set(found.table.item.tolist()) == scored
    away = torch.isin(found.table.parameters.image, torch.tensor(list(moved)))
    probability = found.table.outlier_probability
    assert bool(away.any())
    assert float(probability[away].mean()) > 0.5
    assert float(probability[~away].mean()) < 0.1


def test_the_nearest_other_group_is_another_one_and_outliers_do_not_move_its_centre():
    embeddings = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [1, 0], [0, 1], [0.1, 1]])
    group = torch.tensor([0, 0, 0, 1, 1, 1])
    wrong = torch.tensor([0.0, 0, 1, 1, 0, 0])
    assert _nearest_other_group(embeddings, group, wrong, 2).tolist() == [1, 1, 1, 0, 0, 0]
    three = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0.9, 1]])
    assert _nearest_other_group(three, torch.tensor([0, 0, 1, 1, 2, 2]), torch.zeros(6), 3)[5] == 1


def test_too_few_groups_are_refused_only_if_files_are_requested(filed):
    few = Groups(filed[0].files, filed[0].members[6:10])
    with pytest.raises(UotaError, match="at least 6"):
        inspect(few, views="small-groups", seconds=0.0, files=True)
    assert inspect(few, views="small-groups", seconds=0.0, files=None).filing is None
