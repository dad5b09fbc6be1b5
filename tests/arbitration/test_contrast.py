import torch
from torch.nn.functional import cosine_similarity, normalize
from torch.testing import assert_close

from uota.arbitration.scores.contrast import cosines


def test_views_that_disagree_with_the_others_count_less_in_the_centre():
    """Against float64 loops: a view counts in a centre by exp(5 · cosine to the mean of the image's other views)."""
    z = normalize(torch.randn(4, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), dim=-1)
    own, images, _ = cosines(z)
    for image in range(6):
        views = z[:, image]
        agreement = torch.stack([cosine_similarity(views[j], (views.sum(0) - views[j]), dim=0) for j in range(4)])
        counted = (5 * agreement).exp()[:, None] * views
        assert_close(images[:, :, image], z @ normalize(counted.sum(0), dim=0))
        for j in range(4):
            assert_close(own[j, image], cosine_similarity(views[j], counted.sum(0) - counted[j], dim=0))
