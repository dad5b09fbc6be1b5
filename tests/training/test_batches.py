import numpy as np
import pytest

from uota.errors import UotaError
from uota.training.batches import GlobalBatches


def batches(step=0, rank=0, ranks=1, images=20, size=6):
    return list(GlobalBatches(images, size, 0, rank, ranks, lambda: step))


def test_an_epoch_shows_every_image_at_most_once():
    seen = [index for batch in batches() for _, index in batch]
    assert len(seen) == len(set(seen)) == 18


def test_ranks_share_the_global_batch_of_one_process():
    for whole, first, second in zip(batches(), batches(rank=0, ranks=2), batches(rank=1, ranks=2), strict=True):
        assert whole == first + second


def test_a_resumed_run_continues_within_its_epoch():
    assert batches(step=1) == batches()[1:]
    assert batches(step=3)[0][0][0] == 1
    assert batches(step=3) != batches()


def test_too_few_images_for_the_ranks_are_refused():
    with pytest.raises(UotaError, match="at least 2 images each"):
        batches(images=3, ranks=2)


def of_parts(parts, ranks=1, rank=0, step=0):
    return list(GlobalBatches(sum(parts), 6, 0, rank, ranks, lambda: step, np.array(parts)))


def test_with_many_parts_each_image_is_seen_once_and_few_parts_are_read_at_a_time():
    parts = [1, 0, 5, 2] * 20  # 16 of the 80 at a time
    part_of = np.repeat(np.arange(80), parts)
    batches = of_parts(parts)
    seen = [index for batch in batches for _, index in batch]
    assert sorted(set(seen)) == sorted(seen)
    assert len(seen) == sum(parts) // 6 * 6
    last, first = {}, {}
    for place, index in enumerate(seen):
        first.setdefault(part_of[index], place)
        last[part_of[index]] = place
    open_at = [sum(first[part] <= place <= last[part] for part in first) for place in range(len(seen))]
    assert max(open_at) <= 16
    assert [part_of[index] for index in seen] != sorted(part_of[index] for index in seen)
    later = [index for _, index in of_parts(parts, step=len(batches))[0]]
    assert later != [index for _, index in batches[0]]


def test_few_parts_make_no_difference():
    assert of_parts([10, 10]) == batches()


def test_ranks_share_the_batches_of_parts():
    parts = [3] * 40
    both = zip(of_parts(parts), of_parts(parts, 2), of_parts(parts, 2, 1), strict=True)
    assert all(whole == first + second for whole, first, second in both)
