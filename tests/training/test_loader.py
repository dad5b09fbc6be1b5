"""Worker processes share their parent's memory with every default start method of Python."""

import multiprocessing
import sys

import pytest
import torch
from torch.utils.data import Dataset

from uota.data.files.cache import Cache
from uota.training.loader import Loader


class Damaged(Dataset):
    """Images that are all unreadable, which a cache records."""

    def __init__(self, count):
        self.cache = Cache(count)

    def __len__(self):
        return self.cache.count

    def __getitem__(self, index):
        self.cache.mark_bad(index)
        return torch.zeros(1)


@pytest.fixture
def fork_server():
    """Set the default start method of Python 3.14 on Linux."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.skipif(sys.platform != "linux", reason="on other systems processes are always spawned by default")
def test_the_parent_knows_which_files_its_workers_found_unreadable(fork_server):
    images = Damaged(6)
    assert len(list(Loader(images, 2))) == 6
    assert images.cache.bad() == list(range(6))
