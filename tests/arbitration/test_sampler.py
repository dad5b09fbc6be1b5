import inspect

import pytest
import torch

import uota
from uota import ViewSampler
from uota.arbitration import Arbitration
from uota.data import open_source
from uota.views import PRESETS, ViewPipeline

PRESET = PRESETS["small-grey"]
KEEP = [2, 4]


def candidates(step, inject=0.25, batch=64):
    pipeline = ViewPipeline(PRESET.with_candidates(2), 0, inject)
    return pipeline(open_source("demo"), [(0, (step * batch + place) % 8000) for place in range(batch)])


class Knows(torch.nn.Module):
    """An arbiter that was told the probabilities."""

    def __init__(self, probability):
        super().__init__()
        self.probability = probability

    def forward(self, x, check_finite):
        ones = torch.ones_like(self.probability)
        return Arbitration(ones, scores=ones, outlier_probability=self.probability)


def test_views_are_drawn_in_proportion_to_their_probability_of_being_right():
    probability = torch.tensor([0.0, 0.5, 0.75, 1.0])[:, None].repeat(1, 20_000)
    sampler = ViewSampler([1])
    sampler.arbiter = Knows(probability)

    chosen = sampler([torch.rand(4, 20_000, 1, 2, 2)]).chosen[0]

    right = 1 - probability[:, 0] + 1e-3
    shares = chosen.bincount(minlength=4) / len(chosen)
    torch.testing.assert_close(shares, right / right.sum(), atol=0.01, rtol=0)


def test_kept_views_are_candidates_of_their_size_and_none_is_kept_twice():
    views = candidates(0)
    sampled = ViewSampler(KEEP)(views.by_size)

    assert [len(group) for group in sampled.by_size] == KEEP
    large, small = sampled.chosen[:2], sampled.chosen[2:]
    assert int(large.max()) < 4 <= int(small.min())
    assert bool((large.diff(dim=0) > 0).all())
    assert bool((small.diff(dim=0) > 0).all())
    image = torch.arange(64)
    assert torch.equal(sampled.by_size[0], views.by_size[0][large, image])
    assert torch.equal(sampled.by_size[1], views.by_size[1][small - 4, image])
    assert torch.equal(sampled.of(views.wrong), views.wrong[sampled.chosen, image])


def test_it_learns_to_leave_wrong_views_out():
    sampler = ViewSampler(KEEP)
    made, kept = [], []
    for step in range(100):
        views = candidates(step)
        sampled = sampler(views.by_size)
        if step >= 80:
            made.append(float(views.wrong.float().mean()))
            kept.append(float(sampled.of(views.wrong).float().mean()))
    assert sum(made) / len(made) == pytest.approx(0.25, abs=0.02)
    assert sum(kept) / len(kept) < 0.15


def test_before_it_can_tell_every_view_is_as_likely():
    chosen = torch.cat([ViewSampler([2], seed)([candidates(0).by_size[0]]).chosen for seed in range(40)])
    shares = chosen.flatten().bincount(minlength=4) / chosen.numel()
    assert bool(((shares - 0.25).abs() < 0.03).all())


def test_in_eval_mode_it_draws_and_learns_nothing():
    sampler = ViewSampler(KEEP)
    sampler(candidates(0).by_size)
    before = {
        name: torch.as_tensor(value).clone() for name, value in sampler.state_dict().items() if "extra" not in name
    }
    first, again = (sampler.eval()(candidates(1).by_size).chosen for _ in range(2))
    assert torch.equal(first, again)
    assert all(torch.equal(value, before[name]) for name, value in sampler.state_dict().items() if "extra" not in name)


def test_a_saved_sampler_goes_on_with_the_same_draws(tmp_path):
    sampler = ViewSampler(KEEP, seed=3)
    for step in range(3):
        sampler(candidates(step).by_size)
    torch.save(sampler.state_dict(), tmp_path / "sampler.pt")
    restored = ViewSampler(KEEP, seed=3)
    restored.load_state_dict(torch.load(tmp_path / "sampler.pt"))
    for step in range(3, 6):
        views = candidates(step)
        assert torch.equal(sampler(views.by_size).chosen, restored(views.by_size).chosen)


def test_one_image_alone_is_drawn_from_at_random():
    sampled = ViewSampler([1, 2])([torch.rand(3, 1, 1, 8, 8), torch.rand(4, 1, 1, 8, 8)])
    assert sampled.chosen.shape == (3, 1)


@pytest.mark.parametrize(("keep", "counts"), [([2], [1]), ([2, 4], [4, 3])])
def test_too_few_candidates_are_counted_out(keep, counts):
    with pytest.raises(ValueError, match="at least as many"):
        ViewSampler(keep)([torch.rand(count, 4, 1, 8, 8) for count in counts])


@pytest.mark.parametrize(("keep", "counts"), [([2, 4], [4]), ([1], [2, 2])])
def test_candidates_of_other_sizes_than_are_kept_are_counted_out(keep, counts):
    with pytest.raises(ValueError, match="one tensor for each"):
        ViewSampler(keep)([torch.rand(count, 4, 1, 8, 8) for count in counts])


@pytest.mark.parametrize("keep", [[], [2, 0], [2.0], 2])
def test_keeping_nothing_is_refused(keep):
    with pytest.raises(ValueError, match="at least 1"):
        inspect.unwrap(ViewSampler.__init__)(ViewSampler.__new__(ViewSampler), keep)


VIEWS = torch.rand(4, 8, 1, 8, 8)
BROKEN = VIEWS.clone()
BROKEN[0, 0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (VIEWS, "views are a Tensor; give a list with one tensor"),
        ([], "an empty list"),
        ([VIEWS[0]], r"shape \(8, 1, 8, 8\); give a list"),
        ([VIEWS.numpy()], "is a ndarray; give a list"),
        ([(255 * VIEWS).byte()], "torch.uint8 of shape .* tensor of floats"),
        ([VIEWS, VIEWS[:, :4]], "of the same images"),
        ([VIEWS, VIEWS.expand(4, 8, 3, 8, 8)], "of the same images"),
        ([BROKEN], "1 of 32 views have NaN or infinite pixels"),
    ],
)
def test_what_is_no_list_of_views_is_named(candidates, message):
    # The functions below the shape check that tests (only) put on every annotated call.
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(uota.thumbnails)(candidates)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(ViewSampler.forward)(ViewSampler([2] * max(1, len(candidates))), candidates)
