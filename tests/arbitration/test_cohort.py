"""The cohort score against a naive loop in float64, and what it is for."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.arbitration import Arbiter, CohortScore
from uota.arbitration.scores.cohort import cohort_scores
from uota.arbitration.scores.contrast import Cosines, cosines


def embeddings(views=4, images=7, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(images, dim, generator=generator, dtype=torch.float64)
    return normalize(centres + torch.randn(views, images, dim, generator=generator, dtype=torch.float64), dim=-1)


def by_loop(z):
    """S-norm: the mean of T-norm and Z-norm, view by view."""
    own, images, _ = cosines(z)
    views, batch = own.shape
    scores = torch.empty_like(own)
    for view in range(views):
        for image in range(batch):
            others = [other for other in range(batch) if other != image]
            of_view = torch.stack([images[view, image, other] for other in others])
            of_image = torch.stack([images[each, other, image] for each in range(views) for other in others])
            terms = [(own[view, image] - x.mean()) / x.std(unbiased=False) for x in (of_view, of_image)]
            scores[view, image] = sum(terms) / 2
    return scores


def test_scores_are_the_mean_of_both_norms():
    z = embeddings()
    torch.testing.assert_close(CohortScore()(z).observed, by_loop(z), rtol=1e-9, atol=1e-9)


def test_nulls_are_the_scores_of_the_same_views_against_other_images():
    z = embeddings()
    _, images, _ = cosines(z)
    strangers, residents = CohortScore()(z).nulls()
    assert strangers.shape == residents.shape == (4, 7, 6)
    of_view = images[1, 2][[0, 1, 3, 4, 5, 6]]
    of_image = images[:, [0, 1, 2, 3, 4, 6], 5].flatten()
    expected = sum((images[1, 2, 5] - x.mean()) / x.std(unbiased=False) for x in (of_view, of_image)) / 2
    torch.testing.assert_close(strangers[1, 2, 4], expected)


def test_of_equal_cosines_that_of_the_view_that_resembles_everything_is_worth_less():
    images = 0.1 * torch.randn(2, 30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[0] += 0.4
    own = torch.full((2, 30), 0.5, dtype=torch.float64)
    score = cohort_scores(Cosines(own, images, torch.arange(30))).observed
    assert bool((score[0] < score[1]).all())


@pytest.mark.parametrize("images", [1, 2])
def test_too_few_images_weigh_the_same(images):
    assert torch.equal(Arbiter("cohort")(embeddings(images=images).float()).weights, torch.ones(4, images))


def test_equal_embeddings_are_scored_without_dividing_by_zero():
    assert bool(torch.isfinite(CohortScore()(torch.ones(3, 5, 4)).observed).all())


@pytest.mark.parametrize("doubt", [-1.0, float("nan")])
def test_doubt_is_a_number(doubt):
    with pytest.raises(ValueError, match="doubt is"):
        CohortScore(doubt)
