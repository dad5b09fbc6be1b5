import copy
import inspect

import pytest
import torch
from sklearn.metrics import roc_auc_score

import uota
from uota.arbitration import Contrast, EffectiveSampleSize, LearnedContrast, Mahalanobis, Temperature, TwoGroups

SCORES = [Mahalanobis, Contrast, LearnedContrast]
STRENGTHS = [lambda: Temperature(1.0), lambda: EffectiveSampleSize(0.5), TwoGroups]
HOSTILE = {
    "zeros": torch.zeros(4, 8, 16),
    "identical": torch.ones(4, 8, 16),
    "more dimensions than views": torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(0)),
    "one image": torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(0)),
    "two images": torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(0)),
    "tiny": 1e-30 * torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(0)),
}


def auroc(result, wrong):
    return roc_auc_score(wrong.flatten(), -result.weights.flatten())


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("score", SCORES)
def test_any_score_goes_with_any_strength(embeddings, score, strength):
    arbiter = uota.Arbiter((score(), strength()))
    for step in range(60):
        z, wrong = embeddings(wrong=0.2, seed=step)
        result = arbiter(z)
    assert result.weights.shape == wrong.shape
    assert float(result.weights.mean()) == pytest.approx(1, abs=1e-4)
    assert 0 < result.ess <= 1
    assert auroc(result, wrong) > 0.85


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_batches_get_finite_weights(kind, score, strength, dtype):
    result = uota.Arbiter((score(), strength()))(HOSTILE[kind].to(dtype))
    assert result.weights.dtype == torch.float32
    assert bool(torch.isfinite(result.weights).all())
    assert float(result.weights.mean()) == pytest.approx(1, abs=1e-3)
    if kind in ("zeros", "identical"):
        torch.testing.assert_close(result.weights, torch.ones(4, 8), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_broken_entries_are_named(embeddings, entry):
    z = embeddings()[0]
    z[1, 2, 3] = entry
    with pytest.raises(ValueError, match="1 of 768 views have NaN or infinite"):
        uota.arbitrate(z, tau=1.0)


@pytest.mark.parametrize("shape", [(1, 8, 4), (8, 4), (2, 0, 4)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match="views"):
        # The function below the shape check that tests (only) put on every annotated call.
        inspect.unwrap(uota.arbitrate)(torch.zeros(shape), tau=1.0)


@pytest.mark.parametrize(("rate", "tolerance"), [(0.0, 0.02), (0.05, 0.02), (0.15, 0.02), (0.3, 0.03)])
def test_two_groups_estimates_the_rate(embeddings, rate, tolerance):
    arbiter = uota.Arbiter("two_groups")
    for step in range(40):
        z, wrong = embeddings(batch=256, dim=64, wrong=rate, seed=step)
        result = arbiter(z)
    assert result.outlier_rate == pytest.approx(rate, abs=tolerance)
    if rate:
        assert float(result.outlier_probability[wrong].mean()) > 0.8
    assert float(result.outlier_probability[~wrong].mean()) < 0.08


def test_views_of_images_of_the_same_batch_are_counted_too(embeddings):
    arbiter = uota.Arbiter("two_groups")
    for step in range(40):
        z, _ = embeddings(batch=256, dim=64, seed=step)
        wrong = torch.rand(6, 256, generator=torch.Generator().manual_seed(step)) < 0.2
        # Another place for each view number: two wrong views of an image must not show the same other image.
        others = torch.stack([views.roll(7 + 11 * view, dims=0) for view, views in enumerate(z)])
        result = arbiter(torch.where(wrong[..., None], others, z))
    assert result.outlier_rate == pytest.approx(0.2, abs=0.03)


def test_what_cannot_tell_leaves_weights_uniform():
    arbiter = uota.Arbiter("learned")
    random = torch.Generator().manual_seed(0)
    for _ in range(5):
        result = arbiter(torch.randn(6, 64, 32, generator=random))
    assert result.ess > 0.9


def test_learned_learns_to_tell_under_no_grad_and_autocast():
    """Ten noisy numbers among a hundred that mean nothing tell images apart: no fixed score sees it, the head does."""
    arbiter = uota.Arbiter("learned")
    random = torch.Generator().manual_seed(0)
    for _ in range(150):
        wrong = torch.rand(6, 128, generator=random) < 0.2
        images, others = (torch.randn(s, generator=random) for s in ((1, 128, 10), (6, 128, 10)))
        meaning = torch.where(wrong[..., None], others, images) + 0.3 * torch.randn(6, 128, 10, generator=random)
        features = torch.cat([meaning, 3 * torch.randn(6, 128, 90, generator=random)], -1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            result = arbiter(features)
    assert auroc(result, wrong) > 0.9
    assert auroc(uota.Arbiter("two_groups")(features), wrong) < 0.75


def test_learned_leaves_no_gradient_outside_itself(embeddings):
    encoder = torch.nn.Linear(32, 32)
    arbiter = uota.Arbiter("learned")
    result = arbiter(encoder(embeddings()[0]))
    assert not result.weights.requires_grad
    assert encoder.weight.grad is None
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in arbiter.parameters())


@pytest.mark.parametrize("model", ["learned", "two_groups"])
def test_a_saved_arbiter_goes_on_bit_equal(embeddings, model, tmp_path):
    arbiter = uota.Arbiter(model)
    for step in range(3):
        arbiter(embeddings(seed=step)[0])
    torch.save(arbiter.state_dict(), tmp_path / "arbiter.pt")
    loaded = uota.Arbiter(model)
    loaded.load_state_dict(torch.load(tmp_path / "arbiter.pt", weights_only=True))
    for step in range(3, 6):
        one, other = arbiter(embeddings(seed=step)[0]), loaded(embeddings(seed=step)[0])
        assert torch.equal(one.weights, other.weights)


def test_eval_mode_changes_nothing(embeddings):
    arbiter = uota.Arbiter("learned")
    arbiter(embeddings()[0])
    before = copy.deepcopy(arbiter.state_dict())
    arbiter.eval()(embeddings(seed=1)[0])
    for name, value in arbiter.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, before[name]), name


def test_weights_are_uniform_before_the_start(embeddings):
    arbiter = uota.Arbiter("mahalanobis", tau=20.0, start=0.5)
    z = embeddings()[0]
    assert torch.equal(arbiter(z, progress=0.4).weights, torch.ones(6, 128))
    torch.testing.assert_close(arbiter(z, progress=0.5).weights, uota.arbitrate(z, tau=20.0).weights)


def test_a_start_asks_how_much_is_done(embeddings):
    arbiter = uota.Arbiter("mahalanobis", tau=20.0, start=0.5)
    with pytest.raises(ValueError, match="progress=step / steps"):
        arbiter(embeddings()[0])


def test_another_width_of_features_is_refused(embeddings):
    arbiter = uota.Arbiter("learned")
    arbiter(embeddings(dim=32)[0])
    with pytest.raises(ValueError, match="width 32 and was given width 16"):
        arbiter(embeddings(dim=16)[0])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="learned, cohort, two_groups, mahalanobis"):
        uota.Arbiter("oracle")


@pytest.mark.parametrize("name", ["learned", "two_groups"])
def test_settings_that_an_arbiter_does_not_have_are_named(name):
    with pytest.raises(ValueError, match=f"'{name}' has no tau; it has temperature"):
        uota.Arbiter(name, tau=1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("name", ["learned", "two_groups"])
def test_temperatures_that_are_none_are_refused(name, temperature):
    with pytest.raises(ValueError, match="must be above 0"):
        uota.Arbiter(name, temperature=temperature)
