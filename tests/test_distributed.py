"""Which processes exchange what."""

import torch.distributed as dist

from uota.distributed import joined_ranks, world_size


def test_a_number_of_processes_alone_is_no_launcher(monkeypatch):
    """Schedulers set WORLD_SIZE for programs of all kinds; torchrun also says which of them this one is."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with joined_ranks():
        assert world_size() == 1
        assert not dist.is_initialized()
