import pytest
import torch

from uota import inspect
from uota.data import Groups
from uota.errors import UotaError
from uota.inspection.analysis.filing import find_misfiled
from uota.membership.eyes import FileEyes
from uota.views import PRESETS

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


def test_misfiled_files_are_found_with_the_group_that_they_fit_better(filed):
    groups, moved = filed
    found = inspect(groups, views="small-groups", eyes="thumbnails", steps=0, files=True)
    filing = found.filing
    worst = filing.verdicts.worst_first()[:WRONG].tolist()
    assert set(worst) == set(moved)
    assert [int(filing.fits[file]) for file in moved] == [home for home, _ in moved.values()]
    assert [int(filing.group[file]) for file in moved] == [away for _, away in moved.values()]
    assert 0.02 < found.misfiled < 0.08
    assert filing.interval[0] <= filing.share <= filing.interval[1]


def test_views_of_misfiled_files_are_found_in_all_groups(filed):
    groups, moved = filed
    found = inspect(groups, views="small-groups", eyes="thumbnails", files=False)
    assert found.table.item.tolist() == list(range(THINGS))
    away = torch.isin(found.table.parameters.image, torch.tensor(list(moved)))
    probability = found.table.outlier_probability
    assert bool(away.any())
    assert float(probability[away].mean()) > 0.5
    assert float(probability[~away].mean()) < 0.1


def test_files_in_no_group_and_unreadable_ones_have_no_verdict(filed, monkeypatch):
    groups = Groups(filed[0].files, filed[0].members[:12])
    unreadable = torch.zeros(THINGS * FILES, dtype=torch.bool)
    unreadable[filed[0].members[3][0]] = True
    monkeypatch.setattr(groups, "unreadable", lambda images: unreadable[images])
    filing = find_misfiled(groups, bar=False)
    filed_in = torch.full((THINGS * FILES,), -1)
    for place, members in enumerate(groups.members):
        filed_in[members] = place
    filed_in[unreadable] = -1
    assert torch.equal(filing.group, filed_in)
    assert torch.equal(filing.verdicts.probability.isnan(), filed_in < 0)
    assert torch.equal(filing.fits < 0, filed_in < 0)
    assert set(filing.verdicts.worst_first()[: int((filed_in >= 0).sum())].tolist()) == set(
        torch.nonzero(filed_in >= 0)[:, 0].tolist()
    )


def test_files_are_seen_with_the_eyes_that_are_given(filed):
    shapes = []

    def see(images):
        shapes.append(tuple(images.shape[1:]))
        return {"mean": images.mean((2, 3)), "corner": images[:, :, 0, 0]}

    find_misfiled(filed[0], FileEyes(PRESETS["small"], see), bar=False)
    assert set(shapes) == {(3, 32, 32)}


def test_too_few_groups_are_refused_only_if_files_are_requested(filed):
    few = Groups(filed[0].files, filed[0].members[6:9])
    with pytest.raises(UotaError, match="at least 3"):
        find_misfiled(Groups(few.files, few.members[:2]), bar=False)
    assert inspect(few, views="small-groups", eyes="thumbnails", steps=0, files=None).filing is None
