"""`ViewWeights`: uniform weights change nothing, and each function treats either side as documented."""

import jaxtyping
import pytest
import torch

from uota.losses import Pairs, ViewWeights, ordered_pairs, unordered_pairs

VIEWS, BATCH = 6, 4
SIDES = ["predictor", "both"]


def drawn(views=VIEWS, batch=BATCH, seed=0):
    return torch.rand(views, batch, generator=torch.Generator().manual_seed(seed)) + 0.1


@pytest.mark.parametrize("side", SIDES)
def test_uniform_weights_change_nothing(side):
    weights, pairs = ViewWeights.uniform(VIEWS, BATCH, side), ordered_pairs(VIEWS, 2)
    terms, losses = torch.rand(len(pairs.predictor), BATCH), torch.rand(len(pairs.predictor))
    torch.testing.assert_close(weights.mean(terms, pairs), terms.mean())
    torch.testing.assert_close(weights.mean_of_rows(terms[:VIEWS], range(VIEWS)), terms[:VIEWS].mean())
    torch.testing.assert_close(weights.mean_of_moments(losses, pairs), losses.mean())
    inputs = torch.rand(VIEWS, BATCH, 3)
    torch.testing.assert_close(weights.weigh_inputs(inputs), inputs)


def test_of_pairs_only_ratios_of_weights_matter():
    terms, pairs, weights = torch.rand(10, BATCH), ordered_pairs(VIEWS, 2), drawn()
    torch.testing.assert_close(ViewWeights(7 * weights).mean(terms, pairs), ViewWeights(weights).mean(terms, pairs))


def test_a_term_weighs_what_its_predictor_weighs():
    pairs = ordered_pairs(3, 2)
    terms, weights = torch.rand(4, 1), torch.tensor([[0.5], [2.0], [0.5]])
    by_hand = sum(weights[p, 0] * terms[r, 0] for r, p in enumerate(pairs.predictor)) / 4
    torch.testing.assert_close(ViewWeights(weights, "predictor").mean(terms, pairs), by_hand)


def test_a_term_weighs_the_product_of_both_its_views():
    pairs, weights = ordered_pairs(3, 2), torch.tensor([[0.5], [2.0], [0.5]])
    terms = torch.rand(4, 1)
    products = [weights[p, 0] * weights[t, 0] for p, t in zip(pairs.predictor, pairs.target, strict=True)]
    by_hand = sum(product * term for product, term in zip(products, terms[:, 0], strict=True)) / sum(products)
    torch.testing.assert_close(ViewWeights(weights, "both").mean(terms, pairs), by_hand)


def test_the_targets_of_a_row_count_only_where_both_sides_are_weighed():
    terms, weights, targets = torch.rand(VIEWS, BATCH), drawn(), drawn(seed=1)
    product = weights * targets
    both = ViewWeights(weights).mean_of_rows(terms, range(VIEWS), targets)
    torch.testing.assert_close(both, (product * terms).sum() / product.sum())
    predictor = ViewWeights(weights, "predictor").mean_of_rows(terms, range(VIEWS), targets)
    torch.testing.assert_close(predictor, (weights * terms).mean())


@pytest.mark.parametrize("side", SIDES)
def test_all_views_enter_moments_on_either_side(side):
    values, pairs = drawn(), unordered_pairs(VIEWS, 2)
    weights = ViewWeights(values, side)
    assert torch.equal(weights.moments(), values)
    assert torch.equal(weights.moments(pairs)[1], values[0] * values[2])
    losses, each = torch.rand(len(pairs.predictor)), weights.moments(pairs).mean(1)
    torch.testing.assert_close(weights.mean_of_moments(losses, pairs), (losses * each).sum() / each.sum())


def test_negatives_and_inputs_are_weighed_where_both_sides_are():
    values, inputs = drawn(), torch.rand(VIEWS, BATCH, 3)
    assert ViewWeights(values, "predictor").negatives() is None
    assert torch.equal(ViewWeights(values, "predictor").weigh_inputs(inputs), inputs)
    assert torch.equal(ViewWeights(values, "both").negatives(), values)
    weighed = ViewWeights(values, "both").weigh_inputs(inputs)
    torch.testing.assert_close(weighed, inputs * (values / values.mean())[..., None])


def test_no_gradient_reaches_what_made_the_weights():
    values, terms = drawn().requires_grad_(), torch.rand(1, BATCH, requires_grad=True)
    ViewWeights(values).mean(terms, Pairs([0], [1])).backward()
    assert values.grad is None
    assert terms.grad is not None


def test_invalid_weights_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it checks shapes in tests only
    for values in (torch.ones(3), torch.ones(2, 3, 1), torch.ones(2, 3, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"shape \(views, batch\)"):
            ViewWeights(values)
    with pytest.raises(ValueError, match="choose predictor or both"):
        ViewWeights(drawn(), "target")
