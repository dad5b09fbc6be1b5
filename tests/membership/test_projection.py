"""Features become unit vectors."""

import pytest
import torch
from sklearn.decomposition import TruncatedSVD
from torch.nn.functional import normalize

from uota.membership import projection
from uota.membership.projection import DIRECTIONS, Projected, project


def test_features_are_centred_and_kinds_weigh_the_same():
    random = torch.Generator().manual_seed(0)
    a, b = 5 + torch.randn(9, 4, generator=random), 100 * torch.randn(9, 30, generator=random)
    expected = torch.cat([normalize(a - a.mean(0), dim=1), normalize(b - b.mean(0), dim=1)], 1) / 2**0.5
    torch.testing.assert_close(project({"a": a, "b": b}), expected)


def test_of_many_dimensions_the_principal_ones_are_kept():
    random = torch.Generator().manual_seed(0)
    spread = torch.linspace(3, 0.01, 700)
    x = torch.randn(900, 700, generator=random) * spread
    z = project({"x": x})
    unit = normalize(x - x.mean(0), dim=1)
    expected = TruncatedSVD(DIRECTIONS, algorithm="arpack", random_state=0).fit_transform(unit.double().numpy())
    assert z.shape == (900, DIRECTIONS)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(900))
    cosines = normalize(torch.from_numpy(expected).float(), dim=1)
    torch.testing.assert_close(z @ z.T, cosines @ cosines.T, atol=0.03, rtol=0)
    assert torch.equal(project({"x": x}), z)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_plays_no_part(scale):
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(project({"x": scale * x}), project({"x": x}))


def test_every_seed_of_a_run_will_do():
    x = torch.randn(600, 600, generator=torch.Generator().manual_seed(0))
    assert project({"x": x}, 2**62 + 1)[:].shape == (600, DIRECTIONS)


def test_of_fewer_members_than_directions_nothing_is_lost():
    x = torch.randn(20, 600, generator=torch.Generator().manual_seed(0))
    unit = normalize(x - x.mean(0), dim=1)
    z = project({"x": x})
    assert z.shape == (20, 20)
    torch.testing.assert_close(z @ z.T, unit @ unit.T, atol=1e-5, rtol=0)


def test_of_many_members_vectors_are_made_when_they_are_needed(monkeypatch):
    x = 5 + torch.randn(30, 600, generator=torch.Generator().manual_seed(0))
    expected, rows = project({"x": x}), torch.tensor([7, 0, 7])
    monkeypatch.setattr(projection, "HELD", 1)
    z = project({"x": x})
    assert isinstance(z, Projected)
    assert (len(z), z.shape, z.dtype) == (30, (30, 30), torch.float32)
    torch.testing.assert_close(z[rows], expected[rows])
    torch.testing.assert_close(z[2:5], expected[2:5])


@pytest.mark.parametrize(("dtype", "wide"), [(torch.float16, torch.float32), (torch.float64, torch.float64)])
def test_half_precision_becomes_single_and_double_stays(dtype, wide):
    x = torch.randn(9, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    z = project({"x": x})
    assert z.dtype == wide
    x = x.double()
    torch.testing.assert_close(z.double(), normalize(x - x.mean(0), dim=1), atol=1e-6, rtol=1e-5)
