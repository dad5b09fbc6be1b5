import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from uota.encoders.lab import LabEncoder
from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods import CMC, Embedded, Step

VIEWS, BATCH, DIM = 3, 6, 8


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    return CMC(LabEncoder("tiny", 3, 24), dim=DIM, temperature=0.2).double().eval()


def rows(views=VIEWS, seed=0):
    return torch.randn(views, BATCH, 2 * DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(method, x, weights=None, side="both"):
    weights = torch.ones(x.shape[:2], dtype=x.dtype) if weights is None else weights
    return method.loss(Embedded(x, x, [], [x]), ViewWeights(weights, side), Step())


def test_with_one_view_it_is_the_papers_loss(method):
    """Lightness picks colour among those of the batch, and vice versa (equations 2 and 3)."""
    x = rows(1)
    light, colour = normalize(x[0, :, :DIM], dim=-1), normalize(x[0, :, DIM:], dim=-1)
    own = torch.arange(BATCH)
    expected = cross_entropy(light @ colour.T / 0.2, own) + cross_entropy(colour @ light.T / 0.2, own)
    torch.testing.assert_close(loss_of(method, x), expected)


def test_with_more_views_every_lightness_picks_every_colour(method):
    x = rows()
    light, colour = normalize(x[..., :DIM], dim=-1), normalize(x[..., DIM:], dim=-1)
    total = 0.0
    for anchors, others in ((light, colour), (colour, light)):
        terms = []
        for v in range(VIEWS):
            for k in range(VIEWS):
                for i in range(BATCH):
                    positive = (anchors[v, i] @ others[k, i] / 0.2).exp()
                    rest = sum((anchors[v, i] @ others[:, n].T / 0.2).exp().sum() for n in range(BATCH) if n != i)
                    terms.append(-(positive / (positive + rest)).log())
        total = total + torch.stack(terms).mean()
    torch.testing.assert_close(loss_of(method, x), total)


def test_a_view_of_weight_0_leaves_no_gradient(method):
    x, weights = rows().requires_grad_(), torch.ones(VIEWS, BATCH, dtype=torch.float64)
    weights[1, 2] = 0
    loss_of(method, x, weights).backward()
    size = x.grad.abs().amax(-1)
    assert float(size[1, 2]) < 1e-12
    size[1, 2] = 1
    assert float(size.min()) > 1e-6


def test_an_anchor_of_weight_0_has_no_terms(method):
    x, weights = rows(), torch.ones(VIEWS, BATCH, dtype=torch.float64)
    weights[1] = 0
    kept = loss_of(method, x, side="predictor") - loss_of(method, x, weights, side="predictor")
    weights = 1 - weights
    torch.testing.assert_close(loss_of(method, x, weights, side="predictor"), kept)


def test_only_ratios_of_weights_matter(method):
    weights = torch.rand(VIEWS, BATCH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    torch.testing.assert_close(loss_of(method, rows(), 7 * weights), loss_of(method, rows(), weights))


def test_lightness_and_colour_are_projected_apart(method):
    images = torch.rand(2, BATCH, 3, 24, 24, dtype=torch.float64)
    found = method.embed([images], Step())
    assert found.projected.shape == (2, BATCH, 2 * DIM)
    torch.testing.assert_close(found.projected[..., :DIM].norm(dim=-1), torch.ones(2, BATCH, dtype=torch.float64))
    half = method.encoder.lightness.width
    expected = normalize(method.colour(found.features[..., half:]), dim=-1)
    torch.testing.assert_close(found.projected[..., DIM:], expected)


@pytest.fixture
def remembering():
    torch.manual_seed(0)
    options = {"dim": DIM, "temperature": 0.2, "negatives": 5, "images": 30}
    return CMC(LabEncoder("tiny", 3, 24), **options).double()


def unit_rows(views=VIEWS):
    x = rows(views)
    return torch.cat([normalize(half, dim=-1) for half in x.chunk(2, dim=-1)], dim=-1)


def loss_among_memories(method, x, weights=None):
    torch.manual_seed(0)  # the same images are drawn
    weights = torch.ones(x.shape[:2], dtype=x.dtype) if weights is None else weights
    return method.loss(Embedded(x, x, [], [x]), ViewWeights(weights), Step(index=torch.arange(3, 3 + BATCH)))


def test_from_memories_a_view_of_weight_0_leaves_no_gradient(remembering):
    x, weights = unit_rows().requires_grad_(), torch.ones(VIEWS, BATCH, dtype=torch.float64)
    weights[1, 2] = 0
    loss_among_memories(remembering, x, weights).backward()
    size = x.grad.abs().amax(-1)
    assert float(size[1, 2]) == 0
    size[1, 2] = 1
    assert float(size.min()) > 1e-6


def test_from_memories_only_ratios_of_weights_matter(remembering):
    weights = torch.rand(VIEWS, BATCH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    remembering.eval()
    found = [loss_among_memories(remembering, unit_rows(), factor * weights) for factor in (1, 7)]
    torch.testing.assert_close(*found)


def test_memories_follow_the_mean_of_an_images_views_in_training_only(remembering):
    memory, x = remembering.contrast.light, unit_rows()
    before = memory.rows.clone()
    loss_among_memories(remembering.eval(), x)
    assert torch.equal(memory.rows, before)
    loss_among_memories(remembering.train(), x)
    expected = normalize((before[3 : 3 + BATCH] + x[..., :DIM].mean(0)) / 2, dim=-1)
    torch.testing.assert_close(memory.rows[3 : 3 + BATCH], expected)


def test_memories_need_to_know_the_images(remembering):
    with pytest.raises(UotaError, match="index"):
        remembering.loss(Embedded(unit_rows(), rows(), [], []), ViewWeights.uniform(VIEWS, BATCH), Step())
    for options in ({"negatives": 5}, {"negatives": 0, "images": 5}):
        with pytest.raises(UotaError, match="say how many images there are"):
            CMC(LabEncoder("tiny", 3, 24), **options)
