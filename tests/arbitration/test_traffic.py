"""What crosses the network in one call of an arbiter: counted where PyTorch hands tensors over, in two processes."""

import pytest
import torch
import torch.distributed as dist
from tests.processes import run_on_ranks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from uota import Arbiter
from uota.arbitration.scores.learned import HIDDEN, OUTPUT

ARBITERS = {
    "temperature": lambda: Arbiter("mahalanobis", tau=60.0),
    "ess": lambda: Arbiter("mahalanobis", ess=0.7),
    "two_groups": lambda: Arbiter("two_groups"),
    "learned": lambda: Arbiter("learned"),
}
RANKS = 2
# Views, images of each process, width.
SHAPES = [(4, 16, 8), (4, 16, 24), (8, 16, 8), (4, 64, 8)]


class Traffic(TorchDispatchMode):
    """Counts the numbers that collectives are given or give, whichever are more."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            sizes = [sum(x.numel() for x in tree_leaves(each) if isinstance(x, torch.Tensor)) for each in args]
            self.numbers += max(sizes)
        return func(*args, **(kwargs or {}))


def on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    counted = {(name, shape): count(make(), shape) for name, make in ARBITERS.items() for shape in SHAPES}
    dist.destroy_process_group()
    if rank == 0:
        torch.save(counted, f"{folder}/counted")


def count(arbiter, shape):
    views = torch.randn(shape, generator=torch.Generator().manual_seed(dist.get_rank()))
    with Traffic() as traffic:
        arbiter(views)
    return traffic.numbers


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traffic")
    run_on_ranks(on_a_rank, str(folder), ranks=RANKS)
    return torch.load(folder / "counted")


@pytest.mark.parametrize(("views", "images", "width"), SHAPES)
def test_no_arbiter_exchanges_a_view(counted, views, images, width):
    """The paper's: the scatter and counts, whatever the batch. A contrast: centres, and histograms of a fixed size.
    A learned one too the gradients of centres and head."""
    everybody, histograms = RANKS * images, 3 * 256
    head = 2 * width + (width + 1) * HIDDEN + 2 * HIDDEN + (HIDDEN + 1) * OUTPUT  # two layer norms, two linear layers
    expected = {
        "temperature": width**2,
        "ess": width**2 + 4 * 64 * 2,
        "two_groups": everybody * width + histograms,
        "learned": 2 * everybody * OUTPUT + head + histograms,
    }
    numbers = {name: counted[name, (views, images, width)] for name in ARBITERS}
    for name, least in expected.items():
        assert least < numbers[name] <= least + 16, name
