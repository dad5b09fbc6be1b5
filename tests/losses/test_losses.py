import pytest
import torch
from lightly.loss import NTXentLoss, SwaVLoss
from lightly.loss.swav_loss import sinkhorn
from torch.nn.functional import binary_cross_entropy_with_logits

from uota.losses import nce_terms, nt_xent_terms, ordered_pairs, swapped_prediction_terms


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_nt_xent_equals_lightlys_for_two_views():
    z = unit(2, 16, 8)
    terms = nt_xent_terms(z, ordered_pairs(2, 2), 0.3)
    torch.testing.assert_close(terms.mean(), NTXentLoss(0.3)(z[0], z[1]), rtol=1e-5, atol=1e-5)


def test_nt_xent_of_more_views_equals_its_definition():
    z = unit(3, 5, 8).double()
    pairs = ordered_pairs(3, 3)
    terms = nt_xent_terms(z, pairs, 0.5)
    for row, (j, k) in enumerate(zip(pairs.predictor, pairs.target, strict=True)):
        for i in range(5):
            positive = (z[j, i] @ z[k, i] / 0.5).exp()
            others = sum((z[j, i] @ z[v, n] / 0.5).exp() for v in range(3) for n in range(5) if n != i)
            expected = -(positive / (positive + others)).log()
            assert float(terms[row, i]) == pytest.approx(float(expected), rel=1e-5)


def test_nce_is_the_cross_entropy_of_distinguishing_data_from_noise():
    """The log odds are those of the model's probability and the expected share of noise, m / n."""
    random = torch.Generator().manual_seed(0)
    found, images = torch.rand(4, 6, generator=random, dtype=torch.float64), 50
    odds = (found / (5 / images)).log()
    truth = torch.eye(6, dtype=torch.float64)[:1].expand(4, -1)  # the first is the image itself
    expected = binary_cross_entropy_with_logits(odds, truth, reduction="none").sum(1)
    torch.testing.assert_close(nce_terms(found[:, 0], found[:, 1:], images), expected, rtol=1e-5, atol=0)


def test_swapped_prediction_equals_lightlys():
    logits = unit(6, 16, 30)
    codes = torch.stack([sinkhorn(crop, 3, 0.05) for crop in logits[:2]])
    terms = swapped_prediction_terms(logits, codes, ordered_pairs(6, 2), 0.1)
    expected = SwaVLoss()(list(logits[:2]), list(logits[2:]))
    torch.testing.assert_close(terms.mean(), expected.squeeze(), rtol=1e-5, atol=1e-5)
