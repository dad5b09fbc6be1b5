import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from uota.encoders.encoder import Encoder
from uota.encoders.jigsaw import pieces
from uota.losses import ViewWeights
from uota.methods import METHODS, InfoMin, Step
from uota.views import PRESETS

BATCH = 4


def make(**options):
    torch.manual_seed(0)
    return InfoMin(Encoder("tiny", 1, 24), hidden=32, dim=8, queue_length=12, **options).eval()


def views(count=2, size=24):
    return torch.randn(count, BATCH, 1, size, size, generator=torch.Generator().manual_seed(1))


def solved(method, source, number):
    """Embed the jigsaws of views of one size, piece by piece."""
    features = [method.encoder(piece) for piece in pieces(source, number).flatten(0, 1).unbind(1)]
    found = method.jigsaw_head(torch.stack(features, 1).unflatten(0, source.shape[:2]))
    return normalize(found, dim=-1)


def info_nce(method, query, key):
    logits = torch.cat([(query * key).sum(-1, keepdim=True), query @ method.queue.rows.T], 1) / 0.15
    return cross_entropy(logits, torch.zeros(BATCH, dtype=torch.long))


def test_the_loss_is_the_mean_of_both_branches():
    method, x = make(), views()
    found = method.embed([x], Step(7))
    keys = normalize(method.key(x), dim=-1)
    terms = []
    for queries in (found.z, solved(method, x, 7)):
        terms += [info_nce(method, queries[0], keys[1]), info_nce(method, queries[1], keys[0])]
    loss = method.loss(found, ViewWeights.uniform(2, BATCH), Step(7))
    torch.testing.assert_close(loss, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("own", [True, False])
def test_one_query_and_the_jigsaw_of_a_view_of_its_own_or_of_the_query(own):
    method, by_size = make(queries=1), [views(), views(1, 30)][: 1 + own]
    found = method.embed(by_size, Step(7))
    key = normalize(method.key(by_size[0][1:]), dim=-1)[0]
    jigsaw = solved(method, by_size[1] if own else by_size[0][:1], 7)[0]
    query = normalize(method.projector(method.encoder(by_size[0][0])), dim=-1)
    expected = (info_nce(method, query, key) + info_nce(method, jigsaw, key)) / 2
    loss = method.loss(found, ViewWeights.uniform(2 + own, BATCH), Step(7))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    assert found.projected.shape == (2 + own, BATCH, 8)
    assert found.features.shape == (2 + own, BATCH, 128)
    assert sum(len(maps) for maps in found.early) == 2 + own


def test_the_paper_has_a_plain_view_for_jigsaws():
    (of_jigsaw,) = PRESETS["infomin"].sizes[1:]
    assert (of_jigsaw.count, of_jigsaw.size, of_jigsaw.scale, of_jigsaw.flip_probability) == (1, 255, (0.6, 1.0), 0.5)
    assert of_jigsaw.jitter_probability == of_jigsaw.grey_probability == of_jigsaw.blur_probability == 0
    assert METHODS["infomin"].options["queries"] == 1


def test_a_view_of_weight_0_that_jigsaws_are_made_of_has_no_gradient():
    method, by_size = make(queries=1), [views(), views(1, 30).requires_grad_()]
    weights = torch.ones(3, BATCH)
    weights[2, 1] = 0
    method.loss(method.embed(by_size, Step(7)), ViewWeights(weights), Step(7)).backward()
    assert float(by_size[1].grad[0, 1].abs().max()) == 0
    assert float(by_size[1].grad[0, 2].abs().max()) > 0


def test_weight_zero_leaves_no_gradient_through_either_branch():
    method, x = make(), views(3).requires_grad_()
    weights = torch.ones(3, BATCH)
    weights[0, 2] = 0
    method.loss(method.embed([x], Step(7)), ViewWeights(weights), Step(7)).backward()
    assert float(x.grad[0, 2].abs().max()) == 0
    assert float(x.grad[1, 2].abs().max()) > 0
