"""Members of groups that change while other processes read them."""

import torch
from torch.utils.data import DataLoader, Dataset

from uota.data.files.members import SharedMembers
from uota.training.loader import START_METHOD

MEMBERS = [[4, 0], [2], [5, 1]]


class Listing(Dataset):
    """The members of each group, as a process that loads images sees them."""

    def __init__(self, members):
        self.members = members

    def __len__(self):
        return len(self.members)

    def __getitem__(self, group):
        return self.members[group]


def test_members_are_those_of_the_groups():
    members = SharedMembers(MEMBERS, 7)
    assert len(members) == 3
    assert [sorted(each) for each in members] == [[0, 4], [2], [1, 5]]
    assert members.group.tolist() == [0, 2, 1, -1, 0, 2, -1]  # two images are in no group


def test_images_change_groups_and_leave_them():
    members = SharedMembers(MEMBERS, 7)
    members.refile(torch.tensor([2, 2, 1, 0, -1, -1, 0]))
    assert [sorted(each) for each in members] == [[3, 6], [2], [0, 1]]
    assert members.group.tolist() == [2, 2, 1, 0, -1, -1, 0]


def test_processes_that_run_already_see_the_change():
    members = SharedMembers(MEMBERS, 7)
    loader = DataLoader(
        Listing(members),
        batch_size=None,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=START_METHOD,
    )
    assert [sorted(each) for each in loader] == [[0, 4], [2], [1, 5]]
    members.refile(torch.tensor([2, 2, 1, -1, 0, -1, -1]))
    assert [sorted(each) for each in loader] == [[4], [2], [0, 1]]
