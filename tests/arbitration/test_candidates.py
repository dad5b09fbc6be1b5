import pytest
import torch

from uota.arbitration import CohortScore
from uota.arbitration.candidates import frozen_candidates, select_in_two_stages, with_heads
from uota.arbitration.selection import frozen, learned, select


@pytest.fixture
def features(embeddings):
    """Features of three depths, of which one tells images apart."""
    noise = torch.Generator().manual_seed(1)
    made = {name: torch.randn(4, 48, 8, generator=noise) for name in ("output", "last")}
    return made | {"before": embeddings(views=4, batch=48, dim=16)[0]}


def test_the_first_candidate_is_the_cohort_score_of_the_last_two_maps():
    first = frozen_candidates()[0]
    assert first.parts == ("last", "before")
    assert isinstance(first.score, CohortScore)
    assert not any(each.learns for each in frozen_candidates())


def test_heads_follow_from_a_candidate_that_has_none():
    (head,) = with_heads(frozen_candidates()[0], (7, 0))
    assert (head.steps, head.learns, head.parts) == (7, True, ("last", "before"))
    assert with_heads(head) == []
    assert with_heads(learned("thumbnails", 5)) == []


def test_both_stages_are_compared_and_the_second_decides(features):
    candidates = frozen_candidates()
    found = select_in_two_stages(candidates, lambda best: [frozen(("output",), CohortScore(), 3)], features)
    first = select(candidates, features)
    assert found.best.name == "cohort score of output, head trained for 3 steps"
    assert found.found.keys() == first.found.keys() | {found.best.name}
    assert list(found.found.values()) == sorted(found.found.values(), reverse=True)
    assert select_in_two_stages(candidates, lambda best: [], features) == first
