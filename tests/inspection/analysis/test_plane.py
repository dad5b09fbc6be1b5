import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from uota.inspection.analysis.plane import choose_mapped, has_umap, planes


def test_the_first_plane_has_the_principal_components():
    z = torch.randn(4, 30, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 3, 1, 1, 1, 1])
    plane = planes(z, range(30))[-1]
    reference = PCA(2).fit(z.flatten(0, 1).double().numpy())
    places = reference.transform(z.flatten(0, 1).double().numpy())
    found = plane.views.flatten(0, 1).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(places), atol=1e-8)
    np.testing.assert_allclose(plane.centres, plane.views.mean(0), atol=1e-6)
    for title, share in zip(plane.axes, reference.explained_variance_ratio_, strict=True):
        assert f"{100 * share:.0f} %" in title
    some = planes(z, [7, 3])[-1]
    np.testing.assert_allclose(some.views, plane.views[:, [7, 3]])


def test_a_map_has_the_most_unusual_images_and_some_of_the_others():
    ranking = np.random.default_rng(0).permutation(100).tolist()
    chosen = choose_mapped(ranking, seed=1, images=20)
    assert chosen[:10] == ranking[:10]
    assert len(set(chosen)) == 20
    assert chosen == choose_mapped(ranking, seed=1, images=20)
    assert chosen != choose_mapped(ranking, seed=2, images=20)
    assert sorted(choose_mapped(ranking, seed=1, images=200)) == list(range(100))


@pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed: pip install 'uota[umap]'")
@pytest.mark.parametrize("images", [3, 12])
def test_umap_keeps_neighbours_and_is_deterministic(images):
    random = torch.Generator().manual_seed(0)
    z = torch.randn(images, 8, generator=random) * 10 + torch.randn(4, images, 8, generator=random)
    first, second = planes(z, range(images), seed=2)[0], planes(z, range(images), seed=2)[0]
    assert first.name == "UMAP"
    assert torch.equal(first.views, second.views)
    assert first.views.isfinite().all()
    if images == 12:
        nearest = torch.cdist(first.views.flatten(0, 1), first.centres).argmin(1).view(4, images)
        assert (nearest == torch.arange(images)).double().mean() > 0.8
