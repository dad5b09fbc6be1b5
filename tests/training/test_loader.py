"""Loading processes share their parent's memory, whatever start method is Python's default."""

import multiprocessing
import sys

import pytest
import torch
from torch.utils.data import Dataset

from uota.data.files.cache import Cache
from uota.training.loader import Loader


class Damaged(Dataset):
    """Images none of which can be read, of which a cache keeps account."""

    def __init__(self, count):
        self.cache = Cache(count)

    def __len__(self):
        return self.cache.count

    def __getitem__(self, index):
        self.cache.mark_bad(index)
        return torch.zeros(1)


@pytest.fixture
def fork_server():
    """Python's default on Linux from 3.14 on."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are spawned by default in every version")
def test_what_loading_processes_find_unreadable_is_known_to_their_parent(fork_server):
    images = Damaged(6)
    assert len(list(Loader(images, 2))) == 6
    assert images.cache.bad() == list(range(6))
