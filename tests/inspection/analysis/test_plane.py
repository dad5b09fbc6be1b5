import numpy as np
import torch
from sklearn.decomposition import PCA

from uota.inspection.analysis.plane import planes


def test_the_first_plane_has_the_principal_components():
    z = torch.randn(4, 30, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    plane = planes(z)[0]
    reference = PCA(2).fit(z.flatten(0, 1).double().numpy())
    places = reference.transform(z.flatten(0, 1).double().numpy())
    found = plane.views.flatten(0, 1).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(places), atol=1e-8)
    np.testing.assert_allclose(plane.centres, plane.views.mean(0), atol=1e-6)
    assert f"{100 * reference.explained_variance_ratio_.sum():.0f} %" in plane.name
