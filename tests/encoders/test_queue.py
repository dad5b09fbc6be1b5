import torch
import torch.distributed as dist
from tests.processes import run_on_ranks

from uota.encoders.queue import Queue


def numbered(*values):
    """Distinct keys (views, batch, 1)."""
    return torch.tensor(values, dtype=torch.float32)[..., None]


def test_the_newest_replace_the_oldest():
    queue = Queue(4, 1)
    queue.push(numbered([1, 2, 3]))
    assert queue.rows[:3, 0].tolist() == [1, 2, 3]
    queue.push(numbered([4, 5]))  # a smaller last batch
    assert queue.rows[:, 0].tolist() == [5, 2, 3, 4]


def test_views_of_an_image_are_adjacent():
    queue = Queue(4, 1)
    queue.push(numbered([1, 2], [3, 4]))
    assert queue.rows[:, 0].tolist() == [1, 3, 2, 4]


def test_a_batch_larger_than_the_queue_leaves_its_newest_keys():
    queue = Queue(3, 1)
    queue.push(numbered([1, 2, 3, 4, 5]))
    assert sorted(queue.rows[:, 0].tolist()) == [3, 4, 5]


def test_it_starts_with_random_directions():
    torch.testing.assert_close(Queue(5, 8).rows.norm(dim=-1), torch.ones(5))


def push_on_a_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    queue = Queue(5, 1)
    for step in (0, 10, 20):
        queue.push(numbered([step + 2 * rank + 1, step + 2 * rank + 2]))
    torch.save(queue.rows[:, 0].tolist(), f"{folder}/{rank}")
    dist.destroy_process_group()


def test_ranks_hold_the_same_queue_as_one_process(tmp_path):
    run_on_ranks(push_on_a_rank, str(tmp_path))
    torch.manual_seed(0)
    queue = Queue(5, 1)
    for step in (0, 10, 20):
        queue.push(numbered([step + 1, step + 2, step + 3, step + 4]))
    assert torch.load(tmp_path / "0") == torch.load(tmp_path / "1") == queue.rows[:, 0].tolist()
