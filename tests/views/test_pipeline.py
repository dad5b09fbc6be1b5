"""The pipeline as users see it: shapes, reproducible views per sample, ground truth of injected views, workers."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as F

from uota.errors import UotaError
from uota.views import PRESETS, ViewDataset, ViewPipeline, ViewPreset, ViewSizePreset, evaluation_view, identity_collate

GREY = PRESETS["small-grey"]
LARGE = replace(
    PRESETS["swav"],
    sizes=(replace(PRESETS["swav"].sizes[0], size=32), replace(PRESETS["swav"].sizes[1], size=20)),
)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.by_size, other.by_size, strict=True))


def test_shapes_and_counts(small_source):
    views = ViewPipeline(GREY)(small_source, [(0, 3), (0, 5), (1, 5)])
    assert [tuple(tensor.shape) for tensor in views.by_size] == [(2, 3, 1, 24, 24), (4, 3, 1, 16, 16)]
    assert (views.views, views.batch, views.index.tolist()) == (6, 3, [3, 5, 5])
    assert views.parameters.box.shape == (6, 3, 4)
    assert views.parameters.image.tolist() == [[3, 5, 5]] * 6
    assert views.wrong is None
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in views.by_size)
    assert views.to("cpu").by_size[0].shape == views.by_size[0].shape


@pytest.mark.parametrize(("preset", "source"), [(GREY, "small_source"), (LARGE, "large_source")])
def test_a_sample_has_the_same_views_in_any_batch(preset, source, request):
    source, pipeline = request.getfixturevalue(source), ViewPipeline(preset, seed=3)
    together = pipeline(source, [(0, 1), (4, 2), (0, 3)])
    alone = pipeline(source, [(4, 2)])
    for batched, single in zip(together.by_size, alone.by_size, strict=True):
        torch.testing.assert_close(batched[:, 1:2], single, atol=1e-5, rtol=0)
    assert not same(alone, pipeline(source, [(5, 2)]))
    assert not same(alone, replace(pipeline, seed=4)(source, [(4, 2)]))


def test_global_views_do_not_depend_on_local_views(small_source):
    all_views = ViewPipeline(GREY, seed=1)(small_source, [(0, 1), (0, 2)])
    globals_only = ViewPipeline(GREY.with_local_views(0), seed=1)(small_source, [(0, 1), (0, 2)])
    assert len(globals_only.by_size) == 1
    torch.testing.assert_close(globals_only.by_size[0], all_views.by_size[0], atol=1e-6, rtol=0)


def test_a_view_is_the_crop_given_by_its_parameters(large_source):
    view_size = ViewSizePreset(2, 24, (0.2, 1.0), jitter_probability=0.0)
    preset = ViewPreset("plain", (view_size,), (0.5,) * 3, (0.5,) * 3, evaluation_size=24)
    views = ViewPipeline(preset)(large_source, [(0, index) for index in range(4)])
    for view in range(2):
        for row in range(4):
            box = [int(side) for side in views.parameters.box[view, row]]
            crop = F.resized_crop(large_source.stored[row], *box, [24, 24], antialias=True)
            crop = F.horizontal_flip(crop) if views.parameters.flip[view, row] else crop
            torch.testing.assert_close(views.by_size[0][view, row], crop / 127.5 - 1, atol=0.01, rtol=0)


@pytest.mark.parametrize("place", ["strangers", "batch"])
def test_injected_views_show_another_image_and_are_marked(small_source, place):
    samples = [(epoch, index) for epoch in range(60) for index in (1, 4, 7)]
    views = ViewPipeline(GREY, inject=0.25, inject_from=place)(small_source, samples)
    other = views.parameters.image != views.index
    if place == "batch":  # the batch has each image several times, so another sample may show the same one
        assert set(views.parameters.image.unique().tolist()) == {1, 4, 7}
        assert (other <= views.wrong).all()
    else:
        assert len(views.parameters.image.unique()) == 12
        assert torch.equal(views.wrong, other)
    assert views.wrong.float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert views.wrong[:2].any()


def test_injected_views_show_the_pixels_of_the_other_image():
    constant = [torch.full((1, 28, 28), 20 * index, dtype=torch.uint8) for index in range(8)]

    class Constant:
        labels = None

        def __len__(self):
            return 8

        def images(self, indices):
            return [constant[index] for index in indices]

        def truth(self, index, boxes):
            return None

    preset = replace(GREY, sizes=tuple(replace(view_size, jitter_probability=0.0) for view_size in GREY.sizes))
    views = ViewPipeline(preset, inject=0.5)(Constant(), [(0, index) for index in range(8)])
    shown = torch.cat([tensor.mean((-3, -2, -1)) for tensor in views.by_size]) * preset.std[0] + preset.mean[0]
    torch.testing.assert_close(shown * 255 / 20, views.parameters.image.float(), atol=1e-3, rtol=0)


def test_ground_truth_joins_that_of_the_source_and_the_injected_views(source_with_truth):
    samples = [(0, index) for index in range(12)]
    plain = ViewPipeline(GREY)(source_with_truth, samples)
    assert torch.equal(plain.wrong, plain.parameters.box[..., 0] == 0)
    mixed = ViewPipeline(GREY, inject=0.3)(source_with_truth, samples)
    injected = mixed.parameters.image != mixed.index
    assert injected.any()
    assert torch.equal(mixed.wrong, injected | (mixed.parameters.box[..., 0] == 0))


def test_all_views_may_be_injected_but_not_from_a_single_image(small_source):
    assert ViewPipeline(GREY, inject=1.0)(small_source, [(0, 0), (0, 1)]).wrong.all()
    with pytest.raises(UotaError, match="at least two images"):
        ViewPipeline(GREY, inject=0.5, inject_from="batch")(small_source, [(0, 0)])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_the_same_views_with_and_without_workers(small_source, workers):
    batches = [[(0, 1), (0, 2)], [(0, 3), (1, 4), (1, 0)]]
    dataset = ViewDataset(small_source, ViewPipeline(GREY, seed=2, inject=0.2))
    loader = DataLoader(dataset, batch_sampler=batches, collate_fn=identity_collate, num_workers=workers)
    for made, samples in zip(loader, batches, strict=True):
        assert same(made, dataset.pipeline(small_source, samples))
    assert len(dataset) == 12
    assert dataset[(0, 1)].batch == 1


def test_a_pipeline_can_be_pickled(small_source):
    pipeline = ViewPipeline(LARGE, seed=5, inject=0.1)
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline


def test_one_image_is_enough():
    image = torch.randint(0, 256, (3, 100, 130), dtype=torch.uint8)
    pipeline = ViewPipeline(LARGE)
    views = pipeline.of_image(image)
    assert [tuple(tensor.shape) for tensor in views.by_size] == [(2, 1, 3, 32, 32), (6, 1, 3, 20, 20)]
    assert same(views, pipeline.of_image(image))
    assert not same(views, pipeline.of_image(image, epoch=1))
    assert not same(views, pipeline.of_image(image, index=1))
    with pytest.raises(UotaError, match="at least two images"):
        replace(pipeline, inject=0.5).of_image(image)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("side", [40, 130])
def test_every_preset_makes_its_views(name, side):
    preset, image = PRESETS[name], torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    views = ViewPipeline(preset).of_image(image)
    shapes = [(view_size.count, 1, preset.channels, view_size.size, view_size.size) for view_size in preset.sizes]
    assert [tuple(tensor.shape) for tensor in views.by_size] == shapes
    assert evaluation_view([image], preset).shape == (1, preset.channels, *(preset.evaluation_size,) * 2)


def test_channels_follow_the_preset():
    grey = torch.randint(0, 256, (1, 60, 60), dtype=torch.uint8)
    assert ViewPipeline(LARGE).of_image(grey).by_size[0].shape[2] == 3
    assert ViewPipeline(GREY).of_image(grey.expand(3, -1, -1)).by_size[0].shape[2] == 1
    same_grey = evaluation_view([grey.expand(3, -1, -1)], GREY)
    torch.testing.assert_close(same_grey, evaluation_view([grey], GREY), atol=0.02, rtol=0)


@pytest.mark.parametrize("side", [(300, 400), (400, 300), (100, 90), (256, 256)])
def test_evaluation_resizes_and_crops_the_centre_as_torchvision(side):
    preset, image = PRESETS["swav"], torch.randint(0, 256, (3, *side), dtype=torch.uint8)
    resized = F.resize(image.float() / 255, [256], antialias=True)
    expected = F.normalize(F.center_crop(resized, [224]), list(preset.mean), list(preset.std))
    torch.testing.assert_close(evaluation_view([image], preset)[0], expected, atol=1e-4, rtol=0)


def test_evaluation_uses_small_images_whole(small_source):
    out = evaluation_view(small_source.stored, GREY)
    assert out.shape == (12, 1, 24, 24)
    resized = F.resize(small_source.stored[3].float() / 255, [24, 24], antialias=True)
    torch.testing.assert_close(out[3], (resized - GREY.mean[0]) / GREY.std[0], atol=1e-5, rtol=0)


def test_views_of_one_pixel_and_of_one_row():
    for shape in ((3, 1, 1), (3, 1, 50), (3, 700, 2)):
        views = ViewPipeline(LARGE).of_image(torch.full(shape, 128, dtype=torch.uint8))
        assert all(tensor.isfinite().all() for tensor in views.by_size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ViewPipeline(GREY, inject=1.5), "between 0 and 1"),
        (lambda: ViewPipeline(GREY).of_image(torch.zeros(4, 28, 28, dtype=torch.uint8)), "1 or 3"),
        (lambda: evaluation_view([], GREY), "empty"),
        (lambda: ViewPipeline(GREY, seed=-1).of_image(torch.zeros(1, 9, 9, dtype=torch.uint8)), "seed"),
    ],
)
def test_bad_input_is_an_error_with_a_remedy(make, message):
    with pytest.raises(UotaError, match=message):
        make()


def test_an_unknown_inject_from_is_refused():
    with pytest.raises((UotaError, TypeError), match="strangers"):  # beartype may raise first
        ViewPipeline(GREY, inject_from="elsewhere")


def test_images_that_are_not_bytes_are_an_error(small_source):
    small_source.stored = [torch.zeros(1, 28, 28)] * 12
    with pytest.raises(UotaError, match="uint8"):
        ViewPipeline(GREY)(small_source, [(0, 0)])


def test_an_empty_batch_is_an_error(small_source):
    with pytest.raises(UotaError, match="at least one sample"):
        ViewPipeline(GREY)(small_source, [])


def test_views_carry_the_labels_of_the_requested_images(small_source):
    views = ViewPipeline(GREY, inject=0.5)(small_source, [(0, index) for index in (4, 0, 5)])
    assert views.labels.tolist() == [1, 0, 2]
    assert views.to("cpu").labels.tolist() == [1, 0, 2]
