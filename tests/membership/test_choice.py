"""The candidate or sum of candidates is chosen that finds exchanged members."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.membership.made import trial_of, two_kinds
from torch.nn.functional import normalize

from uota.arbitration.selection import average_precision
from uota.membership.choice import COMBINED, PENALTY, Weighted, choose, fit_weights, probably_right
from uota.membership.injection import Candidate, Exchanged, exchange, exchanges, score_all
from uota.membership.metric import PLAIN, WHITENED, by_metrics
from uota.membership.scores import SCORES


def tried(z, group):
    """Scores of all members before any exchange, and trials."""
    every, nobody = torch.arange(len(group)), torch.zeros(len(group), dtype=torch.bool)
    observed = trial_of(z, Exchanged(group, nobody, nobody, group), every)
    return observed, [trial_of(z, each, every) for each in exchanges(group, 0)[:6]]


def test_the_weights_are_those_of_a_logistic_regression_on_what_was_exchanged():
    observed, trials = tried(*two_kinds())
    found = choose(observed, trials)
    assert list(found.found.values()) == sorted(found.found.values(), reverse=True)
    assert found.found[COMBINED] > 0.97 * max(found.found.values())
    x, wrong = (
        torch.cat([getattr(each, name)[~each.foreign] for each in trials[::2]]).numpy() for name in ("scores", "wrong")
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=5000, tol=1e-8))
    expected = model.fit(x.astype(float), ~wrong).decision_function(observed.scores.double().numpy())
    score = fit_weights(trials[::2])(observed.scores).double().numpy()
    np.testing.assert_allclose(score - score.mean(), expected - expected.mean(), atol=0.05)


def test_members_that_were_wrong_before_hardly_count_as_right_ones():
    z, group = two_kinds()
    z = z.clone()
    z[[0, 41]] = z[[41, 0]]  # members of two groups
    observed, trials = tried(z, group)
    right = probably_right(observed, trials[1::2], fit_weights(trials[::2]))
    assert right[[0, 41]].max() < 0.55
    assert right.mean() > 0.9
    assert next(iter(choose(observed, trials).found.values())) > 0.85


def test_hard_members_of_a_group_are_no_reason_to_choose_another_score():
    """Members far from all groups are no exchanged ones, which margins know and similarities to the centre do not."""
    random = torch.Generator().manual_seed(0)
    z, group = two_kinds()
    odd = torch.randperm(len(z), generator=random)[:90]
    z = z.clone()
    z[odd] = normalize(torch.randn(len(odd), z.shape[1], generator=random) + 0.7 * z[odd], dim=1)
    exchanged = exchange(group, seed=5)
    found = choose(*tried(z, exchanged.group))
    members = by_metrics(z, exchanged.group, 150, 0)
    by_sum, by_centre = (
        average_precision(-each, exchanged.wrong) for each in (found.best(score_all(members)), members[PLAIN].plain)
    )
    assert by_sum > by_centre + 0.1


def test_a_sum_of_scores_is_the_sum_of_scores():
    z, group = two_kinds()
    one, other = Candidate(PLAIN, "centre"), Candidate(WHITENED, "rank")
    members = by_metrics(z, group, 150, 3)
    expected = 2 * SCORES["centre"](members[PLAIN]) - 0.5 * SCORES["rank"](members[WHITENED])
    torch.testing.assert_close(Weighted("both", {one: 2.0, other: -0.5})(score_all(members)), expected)
    assert (one.name, other.name) == ("centre", "rank, whitened within groups")
