"""Scenes: their layout, that they never change, and their ground truth."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample

from uota import UotaError
from uota.data import SceneOptions, Scenes, open_source
from uota.data.demo.scenes import _draws, _objects, ink_inside, open_scenes


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return open_scenes("test")


def test_every_image_of_the_demo_has_one_scene(scenes):
    demo = open_source("demo", "test")
    assert scenes.pixels.shape == (2000, 1, 56, 56)
    assert scenes.pixels.dtype == scenes.ink.dtype == torch.uint8
    assert torch.equal(scenes.labels, demo.labels)
    assert torch.equal(scenes.pixels, scenes.ink.amax(1, keepdim=True))
    corners = scenes.pixels[:, 0, ::55, ::55].float()
    assert (corners == 0).float().mean() > 0.99  # the background is black


def test_the_other_object_is_any_image_of_another_class():
    labels = open_source("demo", "test").labels
    which = _objects(labels, _draws(2000, "test", SceneOptions(others=3))[..., 0])
    assert torch.equal(which[:, 0], torch.arange(2000))
    assert (labels[which[:, 1:]] != labels[:, None]).all()
    pairs = torch.zeros(10, 10).index_put_((labels[:, None].expand(-1, 3), labels[which[:, 1:]]), torch.ones(()), True)
    pairs.fill_diagonal_(66)  # 600 other objects for each class, spread over 9 classes
    assert pairs.min() > 30
    assert pairs.max() < 110
    assert len(which[:, 1:].unique()) > 1800


def test_all_images_of_other_classes_can_be_drawn_if_classes_differ_in_size():
    labels = torch.tensor([2, 0, 0, 1, 2, 2, 2])
    ends = torch.stack([torch.zeros(7), torch.full((7,), 0.999999)], dim=1).double()
    which = _objects(labels, torch.cat([torch.zeros(7, 1), ends], dim=1))
    assert which[0].tolist() == [0, 1, 3]
    assert which[1].tolist() == [1, 3, 6]
    assert which[3].tolist() == [3, 1, 6]


@pytest.mark.parametrize("mirror", [False, True])
def test_a_scene_is_drawn_by_an_affine_map_of_its_objects(mirror):
    """An independent implementation of the geometry, one object at a time, in float64."""
    scenes = open_scenes("test", SceneOptions(mirror=mirror))
    demo = open_source("demo", "test")
    draws = _draws(2000, "test", SceneOptions())
    which = _objects(demo.labels, draws[..., 0])
    for index in (0, 7, 8, 1999):
        angle, radius = 2 * np.pi * float(draws[index, 0, 0]), 0.42 + 0.08 * float(draws[index, 0, 1])
        for place, (low, high) in enumerate([(0.95, 1.15), (0.6, 0.85)]):
            scale = low + (high - low) * float(draws[index, place, 2])
            turn = 0.35 * (2 * float(draws[index, place, 3]) - 1)
            side = 1 - 2 * place
            x, y = side * radius * np.cos(angle), side * radius * np.sin(angle)
            # A place p of the object (half-widths) is seen at R(-turn) p · scale / 2 + (x, y) of the canvas.
            forward = np.eye(3)
            forward[:2, :2] = scale / 2 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            forward[:2, 2] = x, y
            theta = torch.from_numpy(np.linalg.inv(forward)[:2])[None]
            image = demo.pixels[which[index, place]][None].double()
            if mirror and draws[index, place, 6] < 0.5:
                image = image.flip(-1)
            seen = grid_sample(image, affine_grid(theta, [1, 1, 56, 56], align_corners=False), align_corners=False)
            assert (seen[0, 0] - scenes.ink[index, place].double()).abs().max() < 0.51


def test_scenes_are_a_pure_function_of_split_and_options(scenes):
    open_scenes.cache_clear()
    again = open_scenes("test")
    assert again is not scenes
    assert torch.equal(again.pixels, scenes.pixels)
    other = open_scenes("test", SceneOptions(seed=1))
    assert not torch.equal(other.pixels, scenes.pixels)
    assert not torch.equal(_draws(9, "train", SceneOptions()), _draws(9, "test", SceneOptions()))


def test_all_scenes_are_those_of_both_splits_with_their_ground_truth():
    train, test, both = (open_scenes(split) for split in ("train", "test", "all"))
    assert torch.equal(both.pixels, torch.cat([train.pixels, test.pixels]))
    assert torch.equal(both.kinds[:, 0], both.labels)
    boxes = torch.tensor([0.0, 0, 30, 30]).expand(1, 4, 4)
    index = torch.tensor([0, 9, 99, 1999])
    assert torch.equal(both.truth(index, boxes), train.truth(index, boxes))
    assert torch.equal(both.truth(8000 + index, boxes), test.truth(index, boxes))


def test_scenes_never_change(scenes):
    """Published figures were measured on exactly these scenes."""
    assert scenes.pixels.double().mean().item() == pytest.approx(29.576, abs=0.01)
    assert scenes.ink[0].sum((-1, -2)).tolist() == pytest.approx([98486, 52921], rel=0.01)


@pytest.mark.parametrize("others", [1, 3])
def test_shown_equals_a_brute_force_count(others):
    scenes = open_scenes("test", SceneOptions(others=others))
    rng = np.random.default_rng(0)
    index = torch.from_numpy(rng.integers(0, len(scenes), 8))
    top_left = rng.uniform(-3, 40, (4, 8, 2))
    boxes = torch.from_numpy(np.concatenate([top_left, rng.uniform(2, 30, (4, 8, 2))], axis=-1)).float()
    boxes[0] = boxes[0].round()
    main, other = scenes.shown(index, boxes)
    truth = scenes.truth(index, boxes)
    assert main.shape == other.shape == truth.shape == (4, 8)
    for view in range(4):
        for image in range(8):
            shares = [
                count(scenes.ink[index[image], place].numpy(), boxes[view, image].tolist())
                for place in range(1 + others)
            ]
            assert main[view, image] == pytest.approx(shares[0], abs=1e-5)
            assert other[view, image] == pytest.approx(max(shares[1:]), abs=1e-5)
            if abs(shares[0] - max(shares[1:]) / 2) > 1e-4:
                assert truth[view, image] == (shares[0] < max(shares[1:]) / 2)
    assert 0 < truth.float().mean() < 1


def count(ink: np.ndarray, box: list[float]) -> float:
    """Share of the ink inside a box, pixel by pixel, in float64."""
    top, left, height, width = box
    inside = 0.0
    for row in range(ink.shape[0]):
        for column in range(ink.shape[1]):
            high = max(0.0, min(row + 1, top + height) - max(row, top))
            wide = max(0.0, min(column + 1, left + width) - max(column, left))
            inside += float(ink[row, column]) * high * wide
    return inside / float(ink.sum(dtype=np.int64))


def test_the_whole_canvas_shows_everything_and_a_box_outside_nothing(scenes):
    boxes = torch.tensor([[[0.0, 0, 56, 56]], [[100, 100, 10, 10]], [[-30, 0, 20, 20]]])
    main, other = scenes.shown(torch.tensor([3]), boxes)
    assert main.flatten().tolist() == other.flatten().tolist() == [1, 0, 0]
    assert not scenes.truth(torch.tensor([3]), boxes).any()


def test_shares_of_parts_add_up(scenes):
    left, right = torch.tensor([0, 0, 56, 20.3]), torch.tensor([0, 20.3, 56, 35.7])
    parts = ink_inside(scenes.ink[:4], torch.stack([left, right])[:, None].expand(2, 4, 4))
    assert torch.allclose(parts.sum(0), scenes.ink[:4].sum((-1, -2)).float(), rtol=1e-5)


def test_tinted_scenes_have_colours():
    grey, colour = (open_scenes("test", SceneOptions(tint=tint)) for tint in (False, True))
    assert (colour.channels, colour.pixels.shape) == (3, (2000, 3, 56, 56))
    assert torch.equal(grey.ink, colour.ink)
    assert torch.equal(grey.pixels > 9, colour.pixels.amax(1, keepdim=True) > 9)  # the brightest channel is the ink
    assert (colour.pixels.amin(1) < colour.pixels.amax(1)).float().mean() > 0.1


def test_a_canvas_of_another_size_has_objects_of_the_same_size():
    large = open_scenes("test", SceneOptions(canvas=80))
    assert large.pixels.shape[-1] == 80
    assert large.ink.sum().item() == pytest.approx(open_scenes("test").ink.sum().item(), rel=0.05)


@pytest.mark.parametrize(
    ("option", "value"), [("others", 0), ("others", 4), ("canvas", 8), ("seed", -1), ("main_scale", (0.0, 1.0))]
)
def test_invalid_options_are_refused(option, value):
    with pytest.raises(UotaError, match=option):
        SceneOptions(**{option: value})


def test_scenes_can_be_sent_to_another_process(scenes):
    copy = pickle.loads(pickle.dumps(scenes))
    assert torch.equal(copy.images([5])[0], scenes.images([5])[0])
    assert torch.equal(copy.ink, scenes.ink)
