import pytest
import torch
from sklearn.covariance import ledoit_wolf, oas

import uota


def reference(z, tau, anchors=None, eps=0.0):
    """Equations 9 to 11 of the UOTA paper, written out in float64 with an explicit inverse."""
    z = z.double()
    deviations = (z - z[:anchors].mean(0)).flatten(0, 1)
    covariance = deviations.T @ deviations / len(deviations) + eps * torch.eye(z.shape[-1], dtype=torch.float64)
    distances = torch.diagonal(deviations @ torch.linalg.inv(covariance) @ deviations.T)
    weights = len(deviations) * torch.softmax(-distances / tau, 0)
    return distances.view(z.shape[:2]), weights.view(z.shape[:2])


@pytest.mark.parametrize("anchors", [None, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_equals_the_papers_formulas(embeddings, anchors, dtype, tolerance):
    z = embeddings()[0].to(dtype)
    result = uota.arbitrate(z, tau=20.0, anchors=anchors, eps=1e-8)
    distances, weights = reference(z, 20.0, anchors, 1e-8)
    assert result.weights.dtype == dtype
    torch.testing.assert_close(result.distances.double(), distances, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.weights.double(), weights, rtol=tolerance, atol=tolerance)


def test_mean_distance_is_the_dimension_and_mean_weight_one(embeddings):
    result = uota.arbitrate(embeddings()[0].double(), tau=86.0, eps=0.0)
    assert float(result.distances.mean()) == pytest.approx(32, rel=1e-9)
    assert float(result.weights.mean()) == pytest.approx(1, rel=1e-9)


def test_distances_survive_an_invertible_linear_map(embeddings):
    z = embeddings()[0].double()
    mapped = z @ torch.randn(32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one, other = (uota.arbitrate(x, tau=86.0, eps=0.0).distances for x in (z, mapped))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_two_views_of_an_image_weigh_the_same(embeddings):
    weights = uota.arbitrate(embeddings(views=2)[0], tau=86.0).weights
    torch.testing.assert_close(weights[0], weights[1])


@pytest.mark.parametrize(("name", "fit"), [("oas", oas), ("ledoit_wolf", ledoit_wolf)])
def test_shrinkage_equals_scikit_learn(embeddings, name, fit):
    z = embeddings(views=3, batch=12, dim=32)[0].double()
    deviations = (z - z.mean(0)).flatten(0, 1)
    covariance, _ = fit(deviations.numpy(), assume_centered=True)
    precision = torch.linalg.inv(torch.from_numpy(covariance))
    expected = torch.einsum("nd,de,ne->n", deviations, precision, deviations).view(3, 12)
    found = uota.arbitrate(z, tau=86.0, covariance=name, eps=0.0).distances
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_the_effective_sample_size_is_reached(embeddings, share):
    result = uota.arbitrate(embeddings(wrong=0.1)[0], ess=share)
    assert result.ess == pytest.approx(share, rel=2e-3)
    assert uota.arbitrate(embeddings(wrong=0.1)[0], tau=float(result.tau)).ess == pytest.approx(share, rel=2e-3)


def test_outliers_lose_weight(embeddings):
    z, wrong = embeddings(wrong=0.1)
    weights = uota.arbitrate(z, ess=0.8).weights
    assert float(weights[wrong].mean()) < 0.5 < float(weights[~wrong].mean())


def test_no_gradient(embeddings):
    z = embeddings()[0].requires_grad_()
    assert not uota.arbitrate(z, tau=86.0).weights.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "one of tau"), ({"tau": 1.0, "ess": 0.5}, "one of tau"), ({"tau": 0.0}, "above 0"), ({"ess": 2.0}, "up to 1"),
     ({"tau": 1.0, "covariance": "magic"}, "ledoit_wolf"), ({"tau": 1.0, "anchors": 0}, "at least 1")],
)  # fmt: skip
def test_refuses_settings_that_mean_nothing(embeddings, options, message):
    with pytest.raises(ValueError, match=message):
        uota.arbitrate(embeddings()[0], **options)


@pytest.mark.parametrize(("views", "images"), [(3, 1), (8, 1), (8, 4)])
def test_differences_that_are_rounding_leave_weights_uniform(views, images):
    z = torch.randn(views, images, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(uota.arbitrate(z, ess=0.5).weights, torch.ones(views, images))
