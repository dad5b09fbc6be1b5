"""The choice of an arbiter, and the arbiters of runs."""

import pytest
import torch

import uota
from uota.data import SequenceSource
from uota.errors import UotaError
from uota.inspection.arbiters import MIN_HALF, build_arbiters
from uota.inspection.input import open_input
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

ARBITERS = ["none", "mahalanobis", "two_groups", "learned"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of a few steps with each arbiter."""
    folder, made = tmp_path_factory.mktemp("runs"), {}
    for arbiter in ARBITERS:
        settings = Pretrain.from_flat(
            data="demo", arbiter=arbiter, steps=2, batch_size=16, local_views=1, workers=0,
            accelerator="cpu", init="random", backbone="tiny",
        )  # fmt: skip
        made[arbiter] = pretrain(settings, folder / arbiter)
    return made


def subject_of(images, preset="small"):
    return open_input(images, None, preset, {}, 0.0, 0)


def noise(images):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (images, 3, 40, 40), dtype=torch.uint8, generator=generator)


def test_the_best_candidate_is_chosen_and_the_figures_of_all_are_kept(lit_patterns):
    arbiters = build_arbiters(subject_of(lit_patterns(2 * MIN_HALF, 1)), "thumbnails")
    found = arbiters.selection.found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert len(found) == 4  # without training, and three numbers of steps
    assert arbiters.selection.best.name in found
    assert found[arbiters.selection.best.name] == max(found.values())
    assert arbiters.by_halves == arbiters.selection.best.learns
    assert arbiters.primary == "chosen"


@pytest.mark.parametrize(("images", "steps"), [(2 * MIN_HALF, 0), (2 * MIN_HALF - 2, 5), (6, None)])
def test_no_head_is_trained_if_none_is_requested_or_the_images_are_few(images, steps):
    arbiters = build_arbiters(subject_of(noise(images)), "auto", steps=steps)
    assert not arbiters.by_halves
    assert not any("trained" in name for name in arbiters.selection.found)


def test_a_head_is_trained_for_the_given_steps():
    arbiters = build_arbiters(subject_of(noise(2 * MIN_HALF)), "thumbnails", steps=5)
    assert "5 steps" in arbiters.selection.best.name
    assert arbiters.by_halves


def test_halves_are_embedded_by_what_was_trained_on_the_other_half():
    subject = subject_of(noise(2 * MIN_HALF))
    arbiters = build_arbiters(subject, "thumbnails", steps=5)
    first, second = subject.batches()
    seen = {
        batch.half: arbiters.judges["chosen"].extract(subject.readable_views(batch.samples))
        for batch in (first, second)
    }
    embed = arbiters.judges["chosen"].embed
    assert not torch.allclose(embed(seen[0], 0), embed(seen[0], 1))


def test_fewer_images_than_can_be_compared_are_judged_by_the_first_candidate(monkeypatch):
    subject = subject_of(noise(8))
    unreadable = torch.arange(8) < 4
    monkeypatch.setattr(SequenceSource, "unreadable", lambda self, images: unreadable[images])
    arbiters = build_arbiters(subject, "pretrained", steps=0)
    assert arbiters.selection.found == {}
    assert uota.inspect(noise(8), eyes="pretrained", steps=0).table.shape == (6, 4)
    unreadable[:6] = True
    with pytest.raises(UotaError, match="fewer than 3 images"):
        uota.inspect(noise(8), eyes="pretrained", steps=0)


def test_images_of_which_none_can_be_read_are_refused(monkeypatch):
    monkeypatch.setattr(SequenceSource, "unreadable", lambda self, images: torch.ones_like(images).bool())
    with pytest.raises(UotaError, match="none of the images"):
        build_arbiters(subject_of(noise(8)), "thumbnails")


@pytest.mark.parametrize("arbiter", ARBITERS)
def test_the_arbiter_of_a_run_comes_first_and_others_are_for_comparison(runs, arbiter):
    found = uota.inspect(model=runs[arbiter], eyes="thumbnails", steps=0, most=24)
    own = "two_groups" if arbiter == "none" else arbiter
    names = list(found.table.verdicts)
    assert found.table.primary == own
    assert set(names) == {own, "two_groups", "chosen", "mahalanobis"}
    assert found.table.judge == ("two_groups" if arbiter == "mahalanobis" else own)
    assert (found.outlier_rate is None) == (arbiter == "mahalanobis")
    assert (found.interval is None) == (arbiter == "mahalanobis")
    assert ("chosen" in found.arbiters.space, "run" in found.arbiters.space) == (False, True)
    assert found.html()
    alone = uota.inspect(model=runs[arbiter], most=24, compare=False)
    assert "chosen" not in alone.table.verdicts
    assert alone.arbiters.selection is None
    assert torch.equal(alone.table.verdict.weights, found.table.verdict.weights)
