"""Every arm of the benchmark trains, and the controls do what their names say."""

import pytest
import torch

from benchmarks.worth.arms import ARMS, Shuffled, oracle
from benchmarks.worth.plan import plan
from benchmarks.worth.robust import rince
from benchmarks.worth.run import Run, Training
from uota.data.demo.embedded import open_demo
from uota.data.memory import TensorSource
from uota.methods import Step
from uota.training.resolve import resolve_auto
from uota.views import ViewPipeline
from uota.views.presets import preset_of


def few_images() -> TensorSource:
    return TensorSource("demo", open_demo("train").pixels[:64], default_views="small-grey")


def training(arm: str, method: str = "swav") -> Training:
    source = few_images()
    settings = resolve_auto(
        Run("injected-25", method, arm, seed=1).settings().replace_flat(batch_size=16, epochs=1), source
    )
    return Training(settings, ARMS[arm], source, ARMS[arm].preset(preset_of(settings)))


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains(arm):
    run = training(arm, "simclr" if arm.startswith("rince") else "swav")
    before = [parameter.clone() for parameter in run.module.method.encoder.parameters()]

    assert list(run.parts(2)) == [0.5, 1.0]

    after = list(run.module.method.encoder.parameters())
    assert run.step == run.total == 4
    assert all(bool(parameter.isfinite().all()) for parameter in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_run_reports_how_well_its_arbiter_detects_wrong_views():
    run = training("two_groups")
    list(run.parts(1))
    told = run.told()
    assert told["true_rate"] == pytest.approx(0.25, abs=0.15)
    assert 0 <= told["rate"] <= 1
    assert 0 < told["auroc_late"] < 1


def embedded_views():
    run = training("none")
    views = ViewPipeline(preset_of(run.settings), 1, inject=0.25)(run.source, [(0, index) for index in range(16)])
    return run.module.method.embed(views.by_size, Step()), views


def test_the_oracle_gives_wrong_views_no_weight():
    embedded, views = embedded_views()
    weights = oracle(embedded, views, 0.0).weights
    assert views.wrong.any()
    assert float(weights[views.wrong].max()) < 1e-5
    assert torch.allclose(weights.mean(), torch.tensor(1.0))
    assert float(weights[~views.wrong].std()) < 1e-6


def test_weights_are_shuffled_within_each_view_size():
    embedded, views = embedded_views()
    judge = ARMS["ess-0.9"].judge(64, 0)

    weights, shuffled = judge(embedded, views, 0.0).weights, Shuffled(judge)(embedded, views, 0.0).weights

    assert not torch.equal(weights, shuffled)
    for group in (slice(0, 2), slice(2, 6)):
        assert torch.equal(weights[group].flatten().sort().values, shuffled[group].flatten().sort().values)


@pytest.mark.parametrize("q", [1.0, 0.5])
def test_rince_equals_the_equation_of_the_paper(q):
    positive, negatives = torch.randn(5, 1, dtype=torch.float64), torch.randn(5, 1, 7, dtype=torch.float64)
    total = torch.cat([positive[..., None], negatives], -1).logsumexp(-1)
    sums = positive.exp() + negatives.exp().sum(-1)
    expected = -(positive.exp() ** q) / q + (0.01 * sums) ** q / q
    assert torch.allclose(rince(positive, total, q), expected)


def test_rince_with_small_q_has_the_gradient_of_info_nce():
    positive = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    negatives = torch.randn(5, 1, 7, dtype=torch.float64)
    total = torch.logaddexp(positive, negatives.logsumexp(-1))
    (robust,) = torch.autograd.grad(rince(positive, total, 1e-6).sum(), positive, retain_graph=True)
    (plain,) = torch.autograd.grad((total - positive).sum(), positive)
    assert torch.allclose(robust, plain, atol=1e-4)


def test_no_run_is_planned_twice():
    runs = plan()
    assert len(set(runs)) == len(runs)
    assert {run.arm for run in runs} == set(ARMS)


def test_with_sampled_views_the_sampler_is_evaluated():
    alone, weighed = training("sampled"), training("sampled-and-weighed")
    for run in (alone, weighed):
        list(run.parts(1))
    assert len(alone.seen["late"]) == 1
    assert weighed.seen["late"] == alone.seen["late"]


def test_without_wrong_views_no_auroc_is_reported():
    run = training("two_groups")
    run.step = run.total - 1
    scored = ARMS["two_groups"].judge(64, 0)(*embedded_views(), 0.0)

    run.record(scored, torch.zeros(scored.scores.shape, dtype=torch.bool))

    assert run.told().keys() == {"rate"}
