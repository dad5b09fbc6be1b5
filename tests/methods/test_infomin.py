import torch
from torch.nn.functional import cross_entropy, normalize

from uota.methods import InfoMin, Step
from uota.methods.infomin import pieces
from uota.nn.encoder import Encoder

BATCH = 4


def make():
    torch.manual_seed(0)
    return InfoMin(Encoder("tiny", 1, 24), hidden=32, dim=8, queue_length=12).eval()


def views(count=2, size=24):
    return torch.randn(count, BATCH, 1, size, size, generator=torch.Generator().manual_seed(1))


def test_pieces_are_the_nine_cells_in_another_order():
    numbered = torch.arange(9.0).view(3, 3).repeat_interleave(8, 0).repeat_interleave(8, 1)
    found = pieces(numbered.expand(2, BATCH, 3, 24, 24), number=3)
    assert found.shape == (2, BATCH, 9, 3, 7, 7)
    assert bool((found == found[..., :1, :1]).all())
    order = found[0, 0, :, 0, 0, 0].tolist()
    assert sorted(order) == list(range(9))
    assert order != pieces(numbered.expand(2, BATCH, 3, 24, 24), 4)[0, 0, :, 0, 0, 0].tolist()


def test_the_loss_is_the_mean_of_both_branches():
    method, x = make(), views()
    found = method.embed([x], Step())
    keys = normalize(method.key(x), dim=-1)
    jigsaws = [
        method.jigsaw_head(torch.cat([method.encoder(piece) for piece in pieces(view[None], 7)[0].unbind(1)], 1))
        for view in x
    ]
    terms = []
    for queries in (list(found.projected), jigsaws):
        for query, key in ((0, 1), (1, 0)):
            q = normalize(queries[query], dim=-1)
            logits = torch.cat([(q * keys[key]).sum(-1, keepdim=True), q @ method.queue.rows.T], 1) / 0.15
            terms.append(cross_entropy(logits, torch.zeros(BATCH, dtype=torch.long)))
    loss = method.loss(found, torch.ones(2, BATCH), Step(7))
    torch.testing.assert_close(loss, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5)


def test_weight_zero_leaves_no_gradient_through_either_branch():
    method, x = make(), views(3).requires_grad_()
    weights = torch.ones(3, BATCH)
    weights[0, 2] = 0
    method.loss(method.embed([x], Step()), weights, Step(7)).backward()
    assert float(x.grad[0, 2].abs().max()) == 0
    assert float(x.grad[1, 2].abs().max()) > 0
