from itertools import product

import torch
from scipy.optimize import nnls
from sklearn.isotonic import IsotonicRegression

from uota.arbitration import Scores
from uota.arbitration.strengths.two_groups import BINS, PARTS, counts_by_image, falling, nonnegative_shares


def test_falling_equals_scikit_learns_isotonic_regression():
    random = torch.Generator().manual_seed(0)
    values, weights = torch.rand(2, 80, generator=random, dtype=torch.float64)
    expected = IsotonicRegression(increasing=False).fit_transform(range(80), values, sample_weight=weights)
    torch.testing.assert_close(falling(values, weights), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


def test_shares_equal_scipys_nonnegative_least_squares():
    random = torch.Generator().manual_seed(1)
    target, first, second = torch.randn(3, 50, 12, generator=random, dtype=torch.float64)
    second[0], first[1], second[2] = 2 * first[0], 0, 0  # one of them cannot be told, or does not count
    found = nonnegative_shares(target, first, second)
    for one, at, *nulls in zip(found, target, first, second, strict=True):
        expected = torch.from_numpy(nnls(torch.stack(nulls, 1).numpy(), at.numpy())[0])
        fitted, wanted = (each @ torch.stack(nulls) for each in (one, expected))
        torch.testing.assert_close(fitted, wanted, rtol=1e-6, atol=1e-6)  # shares that cannot be told may differ
        assert bool((one >= 0).all())


def test_counts_divide_each_score_between_the_two_nearest_bins_of_its_image():
    random = torch.Generator().manual_seed(2)
    observed, *nulls = (torch.rand(3, 4, n, generator=random, dtype=torch.float64) for n in (1, 5, 5))
    counted = torch.rand(3, 4, generator=random) < 0.7
    expected = torch.zeros(4, 3, BINS, dtype=torch.float64)
    for kind, scores in enumerate((observed, *nulls)):
        for view, image, other in product(range(3), range(4), range(scores.shape[2])):
            place = min(max(scores[view, image, other].item() * BINS - 0.5, 0.0), BINS - 1.0)
            left = min(int(place), BINS - 2)
            expected[image, kind, left] += (1 - (place - left)) * counted[view, image]
            expected[image, kind, left + 1] += (place - left) * counted[view, image]
    counts = counts_by_image(Scores(observed[..., 0], lambda: tuple(nulls), lambda score: score), counted)
    torch.testing.assert_close(counts.double() / PARTS, expected, rtol=0, atol=1e-5)
