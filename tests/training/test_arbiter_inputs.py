import pytest
import torch

from uota.methods import Embedded
from uota.training.arbiter_inputs import ARBITER_INPUTS, arbiter_input
from uota.training.pretrain import pretrain


@pytest.fixture
def embedded():
    def random(*shape):
        return torch.randn(*shape).requires_grad_()

    return Embedded(
        projected=random(3, 4, 8),
        features=random(3, 4, 16),
        early=[random(2 * 4, 5, 12, 12).unflatten(0, (2, 4)), random(4, 5, 6, 6).unflatten(0, (1, 4))],
        by_size=[torch.randn(2, 4, 3, 24, 24), torch.randn(1, 4, 3, 12, 12)],
    )


@pytest.mark.parametrize(
    ("at", "width"),
    [
        ("thumbnails", 3 * 144 + 64),
        ("features", 5 * 16 + 16),
        ("both", 3 * 144 + 64 + 5 * 16 + 16),
        ("embeddings", 8),
    ],
)
def test_a_row_for_each_view_without_gradient(embedded, at, width):
    seen = arbiter_input(at, embedded)
    assert seen.shape == (3, 4, width)
    assert not seen.requires_grad


def test_thumbnails_and_features_count_alike(embedded):
    pictures, features = arbiter_input("both", embedded).split([3 * 144 + 64, 5 * 16 + 16], dim=-1)
    for rows in (pictures, features):
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(3, 4))
    cosines = torch.cosine_similarity(features, arbiter_input("features", embedded), dim=-1)
    torch.testing.assert_close(cosines, torch.ones(3, 4))


@pytest.mark.parametrize("at", ARBITER_INPUTS)
def test_a_run_learns_by_each(small, tmp_path, at):
    run = pretrain(small(eyes=at, arbiter="learned"), tmp_path / "run", bar=False, lines=False)
    assert run.settings().arbitration.eyes == at
