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


def test_a_resumed_run_goes_on_within_its_epoch():
    assert batches(step=1) == batches()[1:]
    assert batches(step=3)[0][0][0] == 1
    assert batches(step=3) != batches()


def test_too_few_images_for_the_ranks_are_refused():
    with pytest.raises(UotaError, match="at least 2 images each"):
        batches(images=3, ranks=2)
