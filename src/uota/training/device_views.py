"""The views of each batch on the device of the training, where the next ones are made while a step runs."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch

from uota.data import Source
from uota.views import UnfinishedViews, ViewPipeline, Views
from uota.views.pipeline import Sample

Batch = TypeVar("Batch")
Made = TypeVar("Made")


def views_made_on(device: torch.device, pipeline: ViewPipeline, source: Source, samples: Sequence[Sample]) -> Views:
    """Make the views of each (epoch, index) at once, on a device; the same as the pipeline alone makes on the CPU."""
    if device.type == "cpu":
        return pipeline(source, samples)
    return pipeline.cut(source, samples).to(device).finish()


def views_on(device: torch.device, batches: Iterator[Views | UnfinishedViews]) -> Iterator[Views]:
    """Yield batches on a device, finished; on CUDA a stream of their own copies and finishes each one step ahead."""
    if device.type == "cuda":
        return ahead(batches, partial(begin_on, torch.cuda.Stream(device)))
    return (_finished(batch.to(device)) for batch in batches)


def ahead(batches: Iterator[Batch], begin: Callable[[Batch], Callable[[], Made]]) -> Iterator[Made]:
    """Begin to make each batch before the one before it is taken.

    Args:
        batches: those to make.
        begin: begins to make one, and returns what to call for taking it.
    """
    before = None
    for batch in batches:
        begun = begin(batch)
        if before is not None:
            yield before()
        before = begun
    if before is not None:
        yield before()


def begin_on(stream: torch.cuda.Stream, batch: Views | UnfinishedViews) -> Callable[[], Views]:
    """Queue the copy and the rest of a batch on a stream, and return what lets the current stream wait for them."""
    with torch.cuda.stream(stream):
        views = _finished(batch.to(stream.device, non_blocking=True))
        done = stream.record_event()

    def take() -> Views:
        current = torch.cuda.current_stream(stream.device)
        current.wait_event(done)
        views.record_stream(current)
        return views

    return take


def _finished(batch: Views | UnfinishedViews) -> Views:
    return batch.finish() if isinstance(batch, UnfinishedViews) else batch
