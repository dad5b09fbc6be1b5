"""Views finished on a device: equal to those made on the CPU, and made without a question to the device."""

import pickle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from uota.views import PRESETS, CropDataset, UnfinishedViews, ViewDataset, ViewPipeline

SMALL = ("small-grey", "scenes", "small-grey-cpc")
AUGMENTED = "infomin"


def reduced(name):
    """A preset with views of at most 64 pixels, which take less time."""
    preset = PRESETS[name]
    return preset.with_sizes([min(64, preset.sizes[0].size)])


def samples(source, epochs=3):
    return [(epoch, index) for epoch in range(epochs) for index in range(len(source))]


def is_truth(tensor):
    return isinstance(tensor, torch.Tensor) and tensor.dtype in (torch.bool, torch.uint8)


# Operators of torch that ask a device something.
ASKING = {
    "_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "nonzero_static", "masked_select", "unique",
    "unique_dim", "unique_consecutive", "_unique2", "bincount", "histc", "repeat_interleave", "argwhere",
}  # fmt: skip


class NoQuestions(TorchDispatchMode):
    """Refuses what makes a GPU's host wait: values that become Python numbers, shapes that depend on values."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in ASKING, name
        indices = args[1] if name in ("index", "index_put", "index_put_") else []
        assert not any(map(is_truth, indices)), f"{name} with a mask"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", PRESETS)
def test_views_finished_on_a_device_equal_those_of_the_cpu(name, small_source, large_source):
    source = small_source if name in SMALL else large_source
    pipeline = ViewPipeline(reduced(name), seed=3, inject=0.2)
    expected, unfinished = pipeline(source, samples(source)), pipeline.cut(source, samples(source))
    made = pickle.loads(pickle.dumps(unfinished)).to("cpu").finish()
    for ours, theirs in zip(made.by_size, expected.by_size, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)
    for name, values in vars(expected.parameters).items():
        assert torch.equal(getattr(made.parameters, name), values)
    assert torch.equal(made.index, expected.index)
    assert torch.equal(made.wrong, expected.wrong)
    assert torch.equal(made.labels, expected.labels)


@pytest.mark.parametrize("name", PRESETS)
def test_the_device_is_asked_nothing(name, small_source, large_source):
    source = small_source if name in SMALL else large_source
    unfinished = ViewPipeline(reduced(name), seed=3).cut(source, samples(source))
    unfinished.finish()  # constants are copied to a device only once
    with NoQuestions():
        unfinished.finish()
    assert all(views.is_meta for views in unfinished.to("meta").finish().by_size)


def test_crops_travel_as_bytes_except_those_of_small_images(small_source, large_source):
    """Small images are resampled in floating point; to round their crops would change the views."""
    small, large = (
        ViewPipeline(reduced(name)).cut(source, samples(source))
        for name, source in (("small-grey", small_source), ("swav", large_source))
    )
    assert {crops.dtype for crops in small.crops} == {torch.float32}
    assert {crops.dtype for crops in large.crops} == {torch.uint8}


def test_rand_augment_and_what_precedes_it_is_done_before(large_source):
    unfinished = ViewPipeline(reduced(AUGMENTED)).cut(large_source, samples(large_source))
    assert unfinished.crops[0].dtype == torch.uint8
    assert not [work for work, _, _ in unfinished.plans[0].steps if "rand" in str(work)]


def test_a_plan_needs_two_tensors_however_many_operations_it_has(large_source):
    """Each tensor that a process sends is an open file until it is used, and a copy to the device."""
    unfinished, tensors = ViewPipeline(reduced("swav")).cut(large_source, samples(large_source)), []
    assert len(list(unfinished.plans[0].operations())) > 10
    unfinished.plans[0].each(lambda tensor: tensors.append(tensor) or tensor)
    assert len(tensors) == 2


def test_a_data_set_of_crops_gives_what_is_left_of_a_data_set_of_views(large_source):
    pipeline = ViewPipeline(reduced("swav"), seed=1)
    whole, crops = ViewDataset(large_source, pipeline), CropDataset(large_source, pipeline)
    assert len(crops) == len(whole)
    unfinished = crops.__getitems__([(0, 1), (0, 2)])
    assert isinstance(unfinished, UnfinishedViews)
    expected = whole.__getitems__([(0, 1), (0, 2)])
    torch.testing.assert_close(unfinished.finish().by_size[1], expected.by_size[1], atol=1e-3, rtol=0)
