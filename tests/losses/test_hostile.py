"""Losses and gradients are finite for any finite embeddings and weights, and do not depend on the order of images."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.hostile.batches import batches, plain
from torch.nn.functional import normalize

from uota.losses import (
    Pairs,
    ViewWeights,
    cross_correlation_loss,
    info_nce_terms,
    joint_contrastive_terms,
    negative_cosine_terms,
    nt_xent_terms,
    ordered_pairs,
    patch_prediction_terms,
    swapped_prediction_terms,
)


@dataclass(frozen=True)
class Case:
    """Embeddings z and weights w of each view and image, and the pairs of views."""

    z: torch.Tensor
    w: torch.Tensor

    @property
    def pairs(self):
        return ordered_pairs(len(self.z), 2)

    @property
    def negatives(self):
        rows = torch.randn(16, self.z.shape[-1], generator=torch.Generator().manual_seed(0))
        return normalize(rows, dim=-1).to(self.z)

    def mean(self, terms):
        return ViewWeights(self.w).mean(terms, self.pairs)

    def mean_of_rows(self, terms):
        return ViewWeights(self.w).mean_of_rows(terms, range(len(self.w)))


def nt_xent(case):
    return case.mean(nt_xent_terms(case.z, case.pairs, 0.1, case.w + 1e-6))


def negative_cosine(case):
    return case.mean(negative_cosine_terms(case.z, case.z[:2], case.pairs))


def info_nce(case):
    unit = normalize(case.z, dim=-1)
    return case.mean(info_nce_terms(unit, unit[:2].detach(), case.negatives, case.pairs, 0.2))


def joint_contrastive(case):
    unit = normalize(case.z, dim=-1)
    shares = torch.full((len(unit), 2, unit.shape[1]), 0.5).to(unit)
    terms = joint_contrastive_terms(unit, unit[:2].detach(), shares, case.negatives, 0.2, 4.0)
    return case.mean_of_rows(terms)


def swapped_prediction(case):
    logits = normalize(case.z, dim=-1) @ case.negatives.T
    codes = (logits[:2].detach() / 0.05).softmax(-1)
    return case.mean(swapped_prediction_terms(logits, codes, case.pairs))


def cross_correlation(case):
    return cross_correlation_loss(case.z[0], case.z[1], ViewWeights(case.w).moments(Pairs([0], [1]))[0], 0.005)


def patch_prediction(case):
    predicted = [row % len(case.z) for row in range(len(case.z))]
    return case.mean_of_rows(patch_prediction_terms(case.z, case.z.detach(), predicted, case.w + 1e-6))


LOSSES = [nt_xent, negative_cosine, info_nce, joint_contrastive, swapped_prediction, cross_correlation]
# Inner products of embeddings that are not normalised may exceed float32, which the training step refuses.
BY_INNER_PRODUCT = [patch_prediction]


@st.composite
def cases(draw, scales, **settings):
    z, generator = draw(batches(scales, dtypes=(torch.float32, torch.float64), images=(2, 6), **settings))
    weights = torch.rand(z.shape[:2], dtype=z.dtype, generator=generator)
    weights = weights * (torch.rand(z.shape[:2], generator=generator) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    return Case(z.requires_grad_(), weights / weights.mean().clamp_min(1e-12)), generator


def check(loss, case):
    value = loss(case)
    (gradient,) = torch.autograd.grad(value, case.z)
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("loss", LOSSES)
@given(drawn=cases((-20, 20)))
def test_losses_and_gradients_are_finite(loss, drawn):
    check(loss, drawn[0])


@pytest.mark.parametrize("loss", BY_INNER_PRODUCT)
@given(drawn=cases((-20, 10)))
def test_losses_by_inner_products_are_finite(loss, drawn):
    check(loss, drawn[0])


@pytest.mark.parametrize("loss", [*LOSSES, *BY_INNER_PRODUCT])
@given(drawn=cases((-1, 1), shapes=(plain,)))
def test_the_order_of_images_does_not_matter(loss, drawn):
    case, generator = drawn
    order = torch.randperm(case.z.shape[1], generator=generator)
    torch.testing.assert_close(loss(Case(case.z[:, order], case.w[:, order])), loss(case), rtol=1e-3, atol=1e-4)
