"""Whatever finite numbers come, weights are finite, non-negative and of mean 1, and treat images and views alike."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.hostile.batches import batches, plain

import uota
from uota.arbitration import Arbiter

ARBITERS = {
    "paper": {"model": "mahalanobis", "tau": 20.0},
    "paper, shrunk": {"model": "mahalanobis", "tau": 20.0, "covariance": "oas"},
    "paper, by sample size": {"model": "mahalanobis", "ess": 0.9},
    "two groups": {"model": "two_groups"},
    "learned": {"model": "learned"},
}
HEADLESS = [name for name in ARBITERS if name != "learned"]


# More deviations than dimensions: of a singular covariance the paper's distances are artefacts of rounding.
well_conditioned = batches((-3, 3), shapes=(plain,), dtypes=(torch.float64,), views=(3, 5), images=(4, 8), dims=(2, 4))


def weights(name, z):
    arbiter = Arbiter(**ARBITERS[name])
    return arbiter(z).weights


@pytest.mark.parametrize("name", ARBITERS)
@given(batches())
def test_weights_are_weights(name, batch):
    z, _ = batch
    found = weights(name, z)
    assert found.shape == z.shape[:2]
    assert bool((found >= 0).all())
    assert bool(torch.isfinite(found).all())
    assert abs(float(found.double().mean()) - 1) < 1e-4
    assert not found.requires_grad


def assert_alike(one, other):
    torch.testing.assert_close(one.double(), other.double(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ARBITERS)
@given(well_conditioned)
def test_the_order_of_images_and_views_does_not_matter(name, batch):
    z, generator = batch
    views, images = (torch.randperm(size, generator=generator) for size in z.shape[:2])
    moved = weights(name, z[views][:, images])
    assert_alike(moved, weights(name, z)[views][:, images])


@pytest.mark.parametrize("name", HEADLESS)
@given(well_conditioned)
def test_a_rotation_does_not_matter(name, batch):
    z, generator = batch
    dim = z.shape[-1]
    rotation = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator)).Q
    assert_alike(weights(name, z @ rotation), weights(name, z))


@pytest.mark.parametrize("name", ARBITERS)
@given(batches(), st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_what_is_no_number_is_refused(name, batch, broken):
    z, generator = batch
    z = z.clone()
    z[tuple(int(torch.randint(size, (1,), generator=generator)) for size in z.shape)] = broken
    with pytest.raises(ValueError, match=r"1 of .* views have NaN or infinite entries"):
        weights(name, z)


@given(batches(images=(2, 6)))
def test_one_call_is_as_safe(batch):
    result = uota.arbitrate(batch[0], tau=20.0)
    assert bool(torch.isfinite(result.weights).all())
    assert bool(torch.isfinite(result.distances).all())
    assert bool((result.distances >= 0).all())
