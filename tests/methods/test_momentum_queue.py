import pytest
import torch
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.momentum import MomentumCopy
from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods import JCL, InfoMin, MoCo, Step
from uota.methods.jcl import strength_at
from uota.methods.momentum_queue import embed_queries_and_keys, roles_of
from uota.training.arbiter_inputs import arbiter_input

BATCH = 4


class Counting(Encoder):
    """An encoder that records the number of rows of each call."""

    def __init__(self):
        super().__init__("tiny", 1, 24)
        self.rows = []

    def with_early_map(self, images):
        self.rows.append(len(images))
        return super().with_early_map(images)


def views_by_size(*counts):
    random = torch.Generator().manual_seed(1)
    return [torch.randn(n, BATCH, 1, size, size, generator=random) for n, size in zip(counts, (24, 16), strict=False)]


def make(cls, **options):
    torch.manual_seed(0)
    return cls(Counting(), hidden=16, dim=8, queue_length=40, **options)


@pytest.mark.parametrize(
    ("cls", "counts", "queries", "of_query", "of_key", "queued"),
    [
        (MoCo, (2,), 1, [4], [2, 2], 4),
        (JCL, (5,), 1, [4], [8, 8], 4),
        (InfoMin, (2, 1), 1, [4, 36], [2, 2], 4),
        (MoCo, (2,), None, [8], [4, 4], 8),
        (JCL, (5,), None, [20], [10, 10], 4),
    ],
)
def test_how_many_rows_are_encoded_and_queued(cls, counts, queries, of_query, of_key, queued):
    """With roles, the encoder gets queries only and the key encoder keys only; JCL enqueues one key of each image."""
    method = make(cls, queries=queries)
    embedded = method.embed(views_by_size(*counts), Step())
    method.loss(embedded, ViewWeights.uniform(sum(counts), BATCH), Step())
    assert method.encoder.rows == of_query
    assert method.key.encoder.rows == of_key
    assert int(method.queue.pushed) == queued


def test_each_view_is_embedded_by_the_encoder_of_its_role():
    torch.manual_seed(0)
    encoder, projector = Encoder("tiny", 1, 24), nn.Linear(128, 8)
    key = MomentumCopy(encoder, projector).eval()
    nn.init.normal_(key.projector.weight)
    encoder.eval()
    views = views_by_size(3, 2)
    found = embed_queries_and_keys(encoder, projector, key, views, 1)
    assert found.by_size is views
    torch.testing.assert_close(found.projected[:1], projector(encoder(views[0][0]))[None])
    torch.testing.assert_close(found.projected[1:3], key(views[0][1:]))
    torch.testing.assert_close(found.projected[3:], key(views[1]))
    torch.testing.assert_close(found.targets, found.projected.detach())
    assert not found.targets.requires_grad
    # The features of keys are those that the encoder, still equal to its copy, would give.
    every = embed_queries_and_keys(encoder, projector, key, views, None)
    torch.testing.assert_close(arbiter_input("features", found), arbiter_input("features", every))


def test_queries_may_be_more_than_the_views_of_the_first_size():
    torch.manual_seed(0)
    encoder, projector = Encoder("tiny", 1, 24).eval(), nn.Linear(128, 8)
    key = MomentumCopy(encoder, projector).eval()
    views = views_by_size(2, 2)
    found = embed_queries_and_keys(encoder, projector, key, views, 3)
    torch.testing.assert_close(found.projected[2:3], projector(encoder(views[1][0]))[None])
    torch.testing.assert_close(found.projected[3:], key(views[1][1:]))


@pytest.mark.parametrize("queries", [0, 2, 3, -1])
def test_without_a_query_or_a_key_nothing_can_be_learned(queries):
    with pytest.raises(UotaError, match="leave at least one query and one key"):
        roles_of(queries, 2, 2)


def test_roles():
    assert roles_of(1, 5, 2) == (range(1), range(1, 5))
    assert roles_of(None, 5, 2) == (range(5), range(2))


def test_the_strength_of_jcl_rises_in_equal_steps():
    found = [strength_at(step / 30, 2.0, 10) for step in range(31)]
    assert found == pytest.approx([0.2 * (1 + step // 3) for step in range(30)] + [2.0])
    assert strength_at(0.0, 4.0, 0) == 4.0
