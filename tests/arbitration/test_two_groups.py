import torch
from scipy.optimize import nnls
from sklearn.isotonic import IsotonicRegression

from uota.arbitration.strengths.two_groups import falling, nonnegative_shares


def test_falling_equals_scikit_learns_isotonic_regression():
    random = torch.Generator().manual_seed(0)
    values, weights = torch.rand(2, 80, generator=random, dtype=torch.float64)
    expected = IsotonicRegression(increasing=False).fit_transform(range(80), values, sample_weight=weights)
    torch.testing.assert_close(falling(values, weights), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


def test_shares_equal_scipys_nonnegative_least_squares():
    random = torch.Generator().manual_seed(1)
    for _ in range(50):
        target, first, second = torch.randn(3, 12, generator=random, dtype=torch.float64)
        expected, _ = nnls(torch.stack([first, second], 1).numpy(), target.numpy())
        found = nonnegative_shares(target, first, second)
        torch.testing.assert_close(torch.tensor(found).double(), torch.from_numpy(expected), rtol=1e-6, atol=1e-6)
