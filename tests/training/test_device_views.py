"""Views are made a step ahead of their use, and on a stream of their own, which the step's stream waits for."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from uota.data import TensorSource
from uota.training.batches import ViewsOfRank
from uota.training.device_views import ahead, begin_on, views_made_on, views_on
from uota.training.pretrain import pretrain
from uota.views import PRESETS, UnfinishedViews, ViewDataset, ViewPipeline

KIND = torch.cuda.Stream
PIPELINE = ViewPipeline(PRESETS["small"].with_sizes([16]), seed=2)


@pytest.fixture
def source():
    generator = torch.Generator().manual_seed(0)
    return TensorSource("made", torch.randint(0, 256, (12, 3, 100, 100), generator=generator, dtype=torch.uint8))


@pytest.fixture
def log(monkeypatch):
    """Stand-ins for CUDA's streams, on the CPU, that note what they are asked to do."""
    said = []

    def stream(name):
        made = Mock(spec=KIND, device=torch.device("cpu"))
        made.record_event = lambda: said.append("made") or len(said)
        made.wait_event = lambda event: said.append(f"{name} wait for {event}")
        return made

    steps = stream("steps")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream("side"))
    monkeypatch.setattr(torch.cuda, "stream", lambda given: SideWork(said))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: steps)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, given: said.append(given is steps))
    return said


class SideWork:
    """Stands in for `torch.cuda.stream`."""

    def __init__(self, said):
        self.said = said

    def __enter__(self):
        self.said.append("to the side")

    def __exit__(self, *error):
        self.said.append("back")


def test_each_batch_is_begun_before_the_one_before_it_is_taken():
    said = []
    taken = ahead(iter("abc"), lambda batch: said.append(f"begin {batch}") or (lambda: batch))
    assert [said.append(f"take {batch}") or batch for batch in taken] == ["a", "b", "c"]
    assert said == ["begin a", "begin b", "take a", "begin c", "take b", "take c"]
    assert list(ahead(iter(()), lambda batch: lambda: batch)) == []


def test_the_steps_wait_for_the_stream_that_made_their_views(source, log):
    take = begin_on(torch.cuda.Stream("cpu"), PIPELINE.cut(source, [(0, 1), (0, 2)]))
    assert log == ["to the side", "made", "back"]
    views = take()
    assert log[3] == "steps wait for 2"  # the event, which was the second entry
    tensors = len(views.by_size) + len(vars(views.parameters)) + 1  # and the index; there are no labels and no truth
    assert log[4:] == [True] * tensors  # their memory is kept for the steps
    torch.testing.assert_close(views.by_size, PIPELINE(source, [(0, 1), (0, 2)]).by_size, atol=1e-3, rtol=0)


@pytest.mark.parametrize("make", [PIPELINE, PIPELINE.cut])
def test_both_kinds_of_batches_become_views_on_the_device(source, make):
    samples = [[(0, 1), (0, 2)], [(1, 3), (1, 4)]]
    found = views_on(torch.device("cpu"), (make(source, each) for each in samples))
    for views, each in zip(found, samples, strict=True):
        torch.testing.assert_close(views.by_size, PIPELINE(source, each).by_size, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("where", "crops"), [("auto", False), ("cpu", False), ("device", True)])
def test_loading_processes_cut_only_if_the_device_does_the_rest(source, where, crops):
    settings = SimpleNamespace(batch_size=4, seed=0, workers=0)
    data = ViewsOfRank(settings, ViewDataset(source, PIPELINE), True, views_on=where)
    data.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    loader = data.train_dataloader()
    samples = next(iter(loader.batch_sampler))
    assert isinstance(loader.dataset.__getitems__(samples), UnfinishedViews) == crops
    expected = PIPELINE(source, samples)
    torch.testing.assert_close(next(iter(loader)).by_size, expected.by_size, atol=1e-3, rtol=0)


def test_a_few_views_are_made_on_a_device_at_once(source, monkeypatch):
    samples = [(0, 1), (0, 2)]
    views = PIPELINE(source, samples)
    assert torch.equal(views_made_on(torch.device("cpu"), PIPELINE, source, samples).by_size[0], views.by_size[0])
    elsewhere = views_made_on(torch.device("meta"), PIPELINE, source, samples)
    assert {each.device.type for each in elsewhere.by_size} == {"meta"}
    assert [each.shape for each in elsewhere.by_size] == [each.shape for each in views.by_size]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", PRESETS)
def test_cuda_makes_the_same_views_and_is_not_waited_for(name, source):
    pipeline = ViewPipeline(PRESETS[name], seed=2)
    samples = [(epoch, index) for epoch in range(3) for index in range(4)]
    stream, unfinished = torch.cuda.Stream(), pipeline.cut(source, samples).pin_memory()
    begin_on(stream, unfinished)()  # constants are copied to a device only once
    torch.cuda.set_sync_debug_mode("error")
    try:
        views = begin_on(stream, unfinished)()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for ours, theirs in zip(views.to("cpu").by_size, pipeline(source, samples).by_size, strict=True):
        # a pixel within rounding of the threshold of solarisation may fall on either side of it
        assert ((ours - theirs).abs() > 1e-3).float().mean() < 1e-3


def test_a_run_is_the_same_wherever_its_views_are_made(small, tmp_path):
    encoders = []
    for where in ("cpu", "device"):
        run = pretrain(small(views_on=where, workers=1), tmp_path / where, bar=False, lines=False)
        encoders.append(torch.load(run.checkpoint, weights_only=True)["state_dict"])
    for name, values in encoders[0].items():
        torch.testing.assert_close(encoders[1][name], values, atol=1e-3, rtol=1e-3)
