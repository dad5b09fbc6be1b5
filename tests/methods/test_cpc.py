import pytest
import torch

from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods import CPC, Embedded, Step
from uota.methods.cpc import layer_norm_encoder

SIDE, BATCH, DIM = 4, 3, 8
PATCHES = SIDE**2


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    return CPC(layer_norm_encoder("tiny", 1, 12), dim=DIM, hidden=16, blocks=2, skip=1, steps=2).double()


def rows(seed=0, dim=128):
    return torch.randn(PATCHES, BATCH, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(method, features, weights=None, side="both"):
    weights = torch.ones(features.shape[:2], dtype=features.dtype) if weights is None else weights
    projected = method.projector(features)
    return method.loss(Embedded(projected, features, [], [projected]), ViewWeights(weights, side), Step())


def test_uniform_weights_give_the_papers_loss(method):
    """Position by position: a context at (r, c) predicts the patches 2 and 3 rows further, in each direction."""
    features = rows()
    patches = method.projector(features).transpose(0, 1).flatten(0, 1)  # of all images, image by image
    terms = []
    for turn in range(4):
        grid = torch.rot90(features.view(SIDE, SIDE, BATCH, -1), turn)
        number = torch.rot90(torch.arange(PATCHES).view(SIDE, SIDE), turn)
        context = method.contexts[turn](grid.permute(2, 3, 0, 1))
        for image in range(BATCH):
            for r in range(SIDE):
                for c in range(SIDE):
                    made = method.predictors[turn](context[image, :, r, c]).view(2, DIM)
                    for step, distance in enumerate((2, 3)):
                        if r + distance < SIDE:
                            logits = 0.1 * patches @ made[step]
                            terms.append(logits.logsumexp(0) - logits[image * PATCHES + number[r + distance, c]])
    assert len(terms) == 4 * BATCH * (2 * SIDE + SIDE)
    torch.testing.assert_close(loss_of(method, features), torch.stack(terms).mean())


@pytest.mark.parametrize("turn", range(4))
def test_a_context_sees_nothing_of_what_lies_ahead(method, turn):
    features = rows().requires_grad_()
    grid = torch.rot90(features.view(SIDE, SIDE, BATCH, -1), turn).permute(2, 3, 0, 1)
    method.contexts[turn](grid)[:, :, 1].sum().backward()
    seen = torch.rot90(features.grad.abs().amax(-1).view(SIDE, SIDE, BATCH), turn).amax((1, 2))
    assert bool((seen[:2] > 0).all())
    assert bool((seen[2:] == 0).all())


def test_a_patch_of_weight_0_leaves_no_gradient(method):
    features, weights = rows().requires_grad_(), torch.ones(PATCHES, BATCH, dtype=torch.float64)
    weights[5, 1] = 0
    loss_of(method, features, weights).backward()
    size = features.grad.abs().amax(-1)
    assert float(size[5, 1]) < 1e-12
    size[5, 1] = 1
    assert float(size.min()) > 1e-9


def test_a_predicted_patch_of_weight_0_has_no_terms(method):
    features, weights = rows(), torch.ones(PATCHES, BATCH, dtype=torch.float64)
    weights[::2] = 0
    parts = [loss_of(method, features, w, side="predictor") for w in (weights, 1 - weights)]
    torch.testing.assert_close(sum(parts), loss_of(method, features, side="predictor"))


def test_only_ratios_of_weights_matter(method):
    weights = torch.rand(PATCHES, BATCH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    torch.testing.assert_close(loss_of(method, rows(), 7 * weights), loss_of(method, rows(), weights))


def test_patches_are_encoded_alone(method):
    """With layer norm, a patch does not depend on the others of the batch."""
    views = torch.randn(PATCHES, BATCH, 1, 12, 12, dtype=torch.float64)
    found = method.embed([views], Step())
    assert found.projected.shape == (PATCHES, BATCH, DIM)
    other = views.clone()
    other[0, 0] += 1
    torch.testing.assert_close(method.embed([other], Step()).projected[1:], found.projected[1:])


@pytest.mark.parametrize("counts", [(6,), (9,), (16, 16)])
def test_views_that_do_not_form_a_grid_are_refused(method, counts):
    with pytest.raises(UotaError, match="--views cpc"):
        method.embed([torch.randn(count, BATCH, 1, 12, 12, dtype=torch.float64) for count in counts], Step())


def test_the_evaluated_encoder_follows_the_one_that_learns():
    torch.manual_seed(0)
    method = CPC(layer_norm_encoder("tiny", 1, 12), dim=DIM, hidden=16, blocks=1, skip=1, steps=2, average=0.75)
    views = torch.randn(PATCHES, BATCH, 1, 12, 12)
    with torch.no_grad():
        for parameter in method.learner.parameters():
            parameter.add_(1.0)
    before = [parameter.clone() for parameter in method.encoder.parameters()]
    method.eval().embed([views], Step())
    assert all(torch.equal(*pair) for pair in zip(before, method.encoder.parameters(), strict=True))
    method.train().embed([views], Step())
    for old, new in zip(before, method.encoder.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
        assert not new.requires_grad
