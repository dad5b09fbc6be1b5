"""Whether a wrong member belongs to another group, told by how clearly one group fits it."""

import torch
from scipy.stats import norm
from torch.testing import assert_close

from uota.membership.elsewhere import likelihood_ratio, updated


def test_the_ratio_is_that_of_the_densities():
    random = torch.Generator().manual_seed(0)
    misplaced = torch.randn(20_000, generator=random, dtype=torch.float64) + 1
    foreign = torch.randn(20_000, generator=random, dtype=torch.float64) - 1
    ratio = likelihood_ratio(misplaced.sigmoid(), foreign.sigmoid())
    odds = torch.tensor([-1.5, -0.5, 0.0, 0.5, 1.5], dtype=torch.float64)
    expected = torch.from_numpy(norm.pdf(odds, 1) / norm.pdf(odds, -1))
    assert_close(ratio(odds.sigmoid()), expected, rtol=0.15, atol=0)


def test_probabilities_follow_from_the_evidence_and_sure_ones_stay():
    prior, ratio = torch.tensor([0.5, 0.2, 1.0, 0.0]).double(), torch.tensor([3.0, 0.5, 0.01, 100.0]).double()
    assert_close(updated(prior, ratio), torch.tensor([0.75, 1 / 9, 1.0, 0.0]).double())


def test_a_choice_among_no_groups_is_as_unclear_as_can_be():
    ratio = likelihood_ratio(torch.tensor([0.9, 0.8, 0.95]), torch.tensor([0.3, 0.2, torch.nan]))
    clear, unclear, none = ratio(torch.tensor([0.99, 0.01, torch.nan])).tolist()
    assert clear > 1 > unclear > none
