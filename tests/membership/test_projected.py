"""Unit vectors that are made when they are needed are those that are made at once."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import projected as module
from uota.membership.projected import project, projected


@pytest.fixture
def features():
    random = torch.Generator().manual_seed(0)
    return {"a": 5 + torch.randn(9, 4, generator=random), "b": 100 * torch.randn(9, 30, generator=random)}


def expected(features):
    parts = [normalize(each - each.mean(0), dim=1) for each in (part.double() for part in features.values())]
    return torch.cat(parts, 1) / len(parts) ** 0.5


def test_features_are_centred_and_parts_weigh_the_same(features, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 4)
    torch.testing.assert_close(project(features, ("a", "b")), expected(features).float())


def test_rows_are_those_of_all(features):
    z, rows = projected(features, ("a", "b")), torch.tensor([7, 0, 7])
    assert (len(z), z.shape, z.dtype) == (9, (9, 34), torch.float32)
    torch.testing.assert_close(z[rows], expected(features).float()[rows])
    torch.testing.assert_close(z[2:5], expected(features).float()[2:5])


@pytest.mark.parametrize(("dtype", "wide"), [(torch.float16, torch.float32), (torch.float64, torch.float64)])
def test_half_precision_becomes_single_and_double_stays(features, dtype, wide):
    given = {name: each.to(dtype) for name, each in features.items()}
    z = projected(given, ("b",))
    assert z.dtype == z[:].dtype == wide
    torch.testing.assert_close(z[:].double(), expected({"b": given["b"]}), atol=1e-6, rtol=1e-5)
