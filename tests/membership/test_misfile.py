"""A share of the files exchanges groups: as many as asked for, each in another group, nothing else changed."""

import pytest
import torch

from uota import UotaError
from uota.data import Groups, open_groups
from uota.data.memory import TensorSource
from uota.membership.misfile import misfile


def groups_of(sizes):
    """Groups of these sizes, whose files have random numbers and are labelled with their groups."""
    order = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(9))
    members = [part.tolist() for part in order.split(sizes)]
    labels = torch.empty(sum(sizes), dtype=torch.int64)
    for number, group in enumerate(members):
        labels[group] = number
    return Groups(TensorSource("files", torch.zeros(sum(sizes), 1, 4, 4, dtype=torch.uint8), labels), members)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("sizes", [[3] * 40, [2, 3, 5, 7, 3, 4, 2, 6] * 5])
def test_the_share_is_misfiled_exactly_and_groups_keep_size_label_and_name(sizes, share):
    before = groups_of(sizes)
    after, wrong = misfile(before, share, seed=3)
    assert int(wrong.sum()) == round(share * sum(sizes))
    assert [len(group) for group in after.members] == sizes
    assert sorted(file for group in after.members for file in group) == list(range(sum(sizes)))
    for number, group in enumerate(after.members):
        # A file's label is the group that it comes from.
        assert torch.equal(after.files.labels[list(group)] != number, wrong[list(group)])
    assert torch.equal(after.labels, before.labels)
    assert [after.display_name(number) for number in range(3)] == [before.display_name(number) for number in range(3)]


def test_labels_and_names_of_things_stay_when_their_first_drawing_is_elsewhere():
    before = open_groups("demo-drawings")
    after, wrong = misfile(before, 1.0, seed=0)
    assert wrong.all()
    assert torch.equal(after.labels, before.labels)
    assert after.display_name(5) == before.display_name(5)
    assert not after.files.display_name(after.members[5][0]).startswith(after.display_name(5))


def test_the_same_seed_gives_the_same_files_and_another_gives_others():
    first, again, other = (misfile(groups_of([3] * 40), 0.3, seed) for seed in (1, 1, 2))
    assert first[0].members == again[0].members
    assert first[0].members != other[0].members
    assert not torch.equal(first[1], other[1])


def test_files_in_no_group_stay_out():
    files = TensorSource("files", torch.zeros(20, 1, 4, 4, dtype=torch.uint8))
    after, wrong = misfile(Groups(files, [[1, 2, 3], [5, 6, 7], [10, 11, 12]]), 0.5, seed=0)
    assert not wrong[[0, 4, 8, 9, *range(13, 20)]].any()
    assert int(wrong.sum()) == 4
    assert sorted(file for group in after.members for file in group) == [1, 2, 3, 5, 6, 7, 10, 11, 12]


@pytest.mark.parametrize("share", [-0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(UotaError, match="give a number from 0 to 1"):
        misfile(groups_of([3, 3]), share, seed=0)


def test_more_than_can_be_exchanged_is_refused():
    with pytest.raises(UotaError, match="cannot be exchanged between their groups; choose another share"):
        misfile(groups_of([9, 2]), 1.0, seed=0)
