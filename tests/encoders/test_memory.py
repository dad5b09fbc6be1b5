import pytest
import torch
import torch.distributed as dist
from tests.processes import run_on_ranks
from torch.nn.functional import normalize

from uota.encoders.memory import MemoryBank, draw

IMAGES, DIM, TEMPERATURE = 20, 8, 0.2


def make_memory():
    torch.manual_seed(0)
    return MemoryBank(IMAGES, DIM, momentum=0.25, temperature=TEMPERATURE).double()


def rows(*shape):
    return normalize(torch.randn(*shape, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=-1)


def test_an_update_averages_the_given_images_and_no_others():
    memory, new, index = make_memory(), rows(3), torch.tensor([4, 0, 19])
    before = memory.rows.clone()
    memory.update(index, new)
    torch.testing.assert_close(memory.rows[index], normalize(0.25 * before[index] + 0.75 * new, dim=-1))
    others = torch.ones(IMAGES, dtype=torch.bool).index_fill(0, index, False)
    assert torch.equal(memory.rows[others], before[others])


def test_probabilities_are_a_softmax_with_the_constant_of_the_first_batch():
    memory, anchors, everyone = make_memory(), rows(1, 3), torch.arange(IMAGES).expand(3, -1)
    scores = (anchors[0] @ memory.rows.T / TEMPERATURE).exp()
    torch.testing.assert_close(memory.probabilities(anchors, everyone)[0], scores / scores.sum(1).mean())
    again = memory.probabilities(anchors.flip(1)[:, :1], everyone[:1])
    torch.testing.assert_close(again[0], scores[2:] / scores.sum(1).mean())


def test_draws_are_uniform():
    counts = draw(10, (100, 200), torch.device("cpu")).flatten().bincount(minlength=10)
    assert len(counts) == 10
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 33  # χ² with 9 degrees of freedom: p > 1e-4


def update_on_a_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    memory, mine = make_memory(), slice(0, 3) if rank == 0 else slice(3, 5)
    memory.probabilities(rows(1, 4)[:, 2 * rank : 2 * rank + 2], torch.arange(IMAGES).expand(2, -1))
    memory.update(torch.tensor([1, 3, 5, 7, 9])[mine], rows(5)[mine])
    torch.save(memory.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_hold_the_memory_of_one(tmp_path):
    run_on_ranks(update_on_a_rank, str(tmp_path))
    memory = make_memory()
    memory.probabilities(rows(1, 4), torch.arange(IMAGES).expand(4, -1))
    memory.update(torch.tensor([1, 3, 5, 7, 9]), rows(5))
    for rank in range(2):
        for name, value in torch.load(tmp_path / f"{rank}.pt").items():
            torch.testing.assert_close(value, memory.state_dict()[name], msg=f"{name} of process {rank}")


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_0_and_1(momentum):
    memory = MemoryBank(IMAGES, DIM, momentum, TEMPERATURE).double()
    before, new = memory.rows[:2].clone(), rows(2)
    memory.update(torch.arange(2), new)
    torch.testing.assert_close(memory.rows[:2], normalize(before, dim=-1) if momentum else new)
