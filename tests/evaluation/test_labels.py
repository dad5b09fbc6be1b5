import pytest
import torch

from uota.data.memory import TensorSource
from uota.evaluation.labels import Part, balanced_share

# 1000, 600 and 2 images of three classes, shuffled.
LABELS = torch.cat([torch.full((n,), label) for label, n in enumerate((1000, 600, 2))])
LABELS = LABELS[torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize(("share", "counts"), [(0.01, [5, 5, 2]), (0.1, [53, 53, 2]), (1.0, [1000, 600, 2])])
def test_each_class_has_the_same_number_of_images(share, counts):
    chosen = balanced_share(LABELS, share, seed=0)
    assert LABELS[chosen].bincount().tolist() == counts
    assert chosen.unique().tolist() == chosen.tolist()


def test_each_class_has_at_least_one_image():
    assert LABELS[balanced_share(LABELS, 1e-6, seed=0)].tolist().count(2) == 1


def test_the_seed_determines_the_choice_and_a_larger_share_contains_the_smaller():
    small, large = balanced_share(LABELS, 0.01, seed=3), balanced_share(LABELS, 0.1, seed=3)
    assert torch.equal(small, balanced_share(LABELS, 0.01, seed=3))
    assert not torch.equal(small, balanced_share(LABELS, 0.01, seed=4))
    assert set(small.tolist()) < set(large.tolist())


def test_a_part_is_a_source_of_its_images():
    whole = TensorSource(
        "whole", torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 2, 2), LABELS[:10]
    )
    part = Part(whole, torch.tensor([2, 7, 8]))
    assert [int(image[0, 0, 0]) for image in part.images([2, 0])] == [8, 2]
    assert part.labels.tolist() == LABELS[[2, 7, 8]].tolist()
    assert (len(part), part.name, part.channels, part.skipped) == (3, "whole", 1, [])
    assert part.truth(torch.tensor([0]), torch.zeros(1, 1, 4)) is None
    assert (part.in_memory, part.display_name(1), part.path(1)) == (True, "7", None)
    whole.unreadable = lambda images: images == 7
    assert part.unreadable(torch.arange(3)).tolist() == [False, True, False]
