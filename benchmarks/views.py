"""Views per second on one thread, compared with lightly's SwAV transform, and the cost of a batch of small views.

    python -m benchmarks.views            # prints, and writes benchmarks/results/views.json

Both implementations get the same decoded 500x375 images: lightly as PIL images, uota as uint8 tensors, once in planar
and once in interleaved memory layout, as decoders produce it. They take turns in one process and are compared by the
median over the repetitions. The goal is at least twice lightly's rate.
"""

import json
from collections.abc import Sequence
from functools import partial
from statistics import median

import torch
from lightly.transforms import SwaVTransform
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.images import smooth_images
from benchmarks.timing import seconds
from uota.data import TensorSource
from uota.views import PRESETS, ViewPipeline

RESULT = RESULTS / "views.json"
IMAGES, REPETITIONS = 8, 9
SMALL_BATCH, SMALL_BATCHES, WARM_UP = 128, 40, 5


class Stack(TensorSource):
    """A source of decoded images that keep their own memory layout."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        super().__init__("stack", images[0][None])
        self.stored = images

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.stored)

    def images(self, indices: Sequence[int]) -> list[Tensor]:
        """Return these images, each with the strides it came with."""
        return [self.stored[index] for index in indices]


def compare_with_lightly(count: int, repetitions: int) -> dict[str, float]:
    """Measure the views per second of both, and how much faster uota is with either memory layout."""
    images = smooth_images(count, 3, 375, 500)
    pictures, theirs = [to_pil_image(image) for image in images], SwaVTransform()
    planes, interleaved = Stack(list(images)), Stack([pil_to_tensor(picture) for picture in pictures])
    pipeline = ViewPipeline(PRESETS["swav"], seed=0)
    took: dict[str, list[float]] = {"planes": [], "interleaved": [], "lightly": []}
    for epoch in range(repetitions + 1):
        samples = [(epoch, index) for index in range(count)]
        took["planes"].append(seconds(partial(pipeline, planes, samples)))
        took["interleaved"].append(seconds(partial(pipeline, interleaved, samples)))
        took["lightly"].append(seconds(lambda: [theirs(picture) for picture in pictures]))
    views = count * pipeline.preset.views
    rates = {name: views / median(times[1:]) for name, times in took.items()}  # the first is a warm-up
    return {
        "uota_views_per_second": rates["planes"],
        "uota_interleaved_views_per_second": rates["interleaved"],
        "lightly_views_per_second": rates["lightly"],
        "ratio": rates["planes"] / rates["lightly"],
        "ratio_interleaved": rates["interleaved"] / rates["lightly"],
    }


def small_views(batches: int) -> dict[str, float]:
    """Measure the milliseconds for the views of 128 grey 56x56 images, without injected views and with a quarter."""
    source = Stack(list(smooth_images(SMALL_BATCH, 1, 56, 56)))
    result = {}
    for name, share in (("scenes_ms_per_batch_of_128", 0.0), ("scenes_inject_25_ms_per_batch_of_128", 0.25)):
        pipeline = ViewPipeline(PRESETS["scenes"], seed=0, inject=share)
        samples = [[(epoch, index) for index in range(SMALL_BATCH)] for epoch in range(WARM_UP + batches)]
        took = [seconds(partial(pipeline, source, batch)) for batch in samples]
        result[name] = 1000 * median(took[WARM_UP:])
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = make_parser("views", __doc__)
    parser.add_argument("--images", type=positive, help=f"images in a batch of large views (default {IMAGES})")
    parser.add_argument("--repetitions", type=positive, help=f"batches of large views (default {REPETITIONS})")
    asked = parse(parser, arguments, RESULT)
    torch.set_num_threads(1)
    images, repetitions = (
        asked.images or (2 if asked.tiny else IMAGES),
        asked.repetitions or (1 if asked.tiny else REPETITIONS),
    )
    result = {**compare_with_lightly(images, repetitions), **small_views(2 if asked.tiny else SMALL_BATCHES)}
    for name, value in result.items():
        print(f"{name:40} {value:10.2f}")
    asked.out.write_text(json.dumps({name: round(value, 3) for name, value in result.items()}, indent=2) + "\n")


if __name__ == "__main__":
    start(main)
