"""Choosing an arbiter by injection: the exchange, the measure, and that the choice is the right one."""

import pytest
import torch
from sklearn.metrics import average_precision_score

from uota.arbitration import CohortScore, Contrast
from uota.arbitration.selection import (
    average_precision,
    exchange,
    fit_by_halves,
    frozen,
    learned,
    random_half,
    score_all,
    select,
)


def features(images=120, seed=0):
    """Features that tell images apart, and others that do not."""
    generator = torch.Generator().manual_seed(seed)
    things = torch.randn(images, 12, generator=generator)
    noise = torch.randn(4, images, 24, generator=generator)
    return {"good": things + 0.3 * noise[..., :12], "poor": things + 4 * noise[..., 12:]}


def test_average_precision_equals_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    suspicion, positive = torch.randn(200, generator=generator), torch.rand(200, generator=generator) < 0.2
    expected = average_precision_score(positive.numpy(), suspicion.numpy())
    assert average_precision(suspicion, positive) == pytest.approx(expected, abs=1e-12)


def test_exchanged_views_are_another_images_at_the_same_place():
    made = {"index": torch.arange(50.0).repeat(4, 1)[..., None], "view": torch.arange(4.0).repeat(50, 1).T[..., None]}
    exchanged, injected = exchange(made, 0.1, seed=1)
    assert injected.sum(1).tolist() == [5] * 4
    assert torch.equal(exchanged["index"][..., 0] != made["index"][..., 0], injected)
    assert torch.equal(exchanged["view"], made["view"])
    for row in exchanged["index"][..., 0]:
        assert sorted(row.tolist()) == list(range(50))


def test_the_candidate_that_finds_wrong_views_best_is_chosen():
    candidates = [
        frozen(["poor"], CohortScore()),
        frozen(["good"], CohortScore()),
        frozen(["good"], CohortScore(), 400),
    ]
    selection = select(candidates[:2], features())
    assert selection.best.parts == ("good",)
    assert list(selection.found) == [candidates[1].name, candidates[0].name]
    assert selection.found[candidates[1].name] > 0.9 > 0.5 > selection.found[candidates[0].name]


def test_the_choice_stands_though_some_views_are_wrong_already():
    dirty, wrong = exchange(features(), 0.15, seed=9)
    selection = select([frozen(["poor"], Contrast(0.3)), frozen(["good"], Contrast(0.3))], dirty)
    assert selection.best.parts == ("good",)
    found = score_all(selection.best, dirty, 0).observed
    assert average_precision(-found.flatten(), wrong.flatten()) > 0.9


def test_images_are_scored_by_what_was_fitted_to_the_other_half():
    seen = []

    def fit(given, seed):
        seen.append(given["good"].shape[1])
        place = len(seen)
        return lambda these: these["good"] * place

    made, candidate = features(40), learned("good", 1)
    first = random_half(40, 3)
    assert int(first.sum()) == 20
    fitted = fit_by_halves(type(candidate)("made", ("good",), fit, CohortScore(), True), made, first, 0)
    assert seen == [20, 20]
    one, two = (embed(made)[0, 0, 0] / made["good"][0, 0, 0] for embed in fitted.embed)
    assert (round(float(one)), round(float(two))) == (1, 2)


def test_the_same_seed_chooses_and_scores_the_same():
    made = features()
    candidate = learned("good", 5)
    assert torch.equal(score_all(candidate, made, 4).observed, score_all(candidate, made, 4).observed)
    assert select([candidate], made, 4).found == select([candidate], made, 4).found


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="give at least 6"):
        select([frozen(["good"], CohortScore())], features(5))
