"""Views a second on one thread: ours beside lightly's SwAV transform, and the cost of a batch of small views.

    python -m benchmarks.views            # prints, and writes benchmarks/results/views.json

Both get the same decoded 500x375 images (lightly as PIL images, ours as uint8 tensors, once with the colours in
planes and once interleaved, as decoders leave them), take turns in one process, and are compared by the median over
the repetitions. Goal: at least twice lightly's rate.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch
from lightly.transforms import SwaVTransform
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from benchmarks.timing import seconds
from uota.views import PRESETS, ViewPipeline

RESULT = Path(__file__).parent / "results" / "views.json"
IMAGES, REPETITIONS = 8, 9


class Stack:
    """Decoded images in memory."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        """Keep them."""
        self.stored = images

    def __len__(self) -> int:
        """Number of images."""
        return len(self.stored)

    def images(self, indices: Sequence[int]) -> list[Tensor]:
        """Those asked for."""
        return [self.stored[index] for index in indices]

    def truth(self, index: Tensor, boxes: Tensor) -> None:
        """Nothing is known."""


def smooth_images(count: int, channels: int, height: int, width: int) -> Tensor:
    """Random images with structure at several scales and some noise, like photographs: uint8."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(count, channels, height, width)
    for cells, strength in ((4, 0.5), (16, 0.25), (64, 0.12)):
        field = torch.rand(count, channels, cells, cells, generator=generator) - 0.5
        total += strength * interpolate(field, (height, width), mode="bicubic")
    total += 0.02 * torch.randn(total.shape, generator=generator)
    return (total * 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)


def compare_with_lightly() -> dict[str, float]:
    """Views a second of both, and how much faster ours is with either layout."""
    images = smooth_images(IMAGES, 3, 375, 500)
    pictures, theirs = [to_pil_image(image) for image in images], SwaVTransform()
    planes, interleaved = Stack(list(images)), Stack([pil_to_tensor(picture) for picture in pictures])
    pipeline = ViewPipeline(PRESETS["swav"], seed=0)
    took: dict[str, list[float]] = {"planes": [], "interleaved": [], "lightly": []}
    for epoch in range(REPETITIONS + 1):
        samples = [(epoch, index) for index in range(IMAGES)]
        took["planes"].append(seconds(partial(pipeline, planes, samples)))
        took["interleaved"].append(seconds(partial(pipeline, interleaved, samples)))
        took["lightly"].append(seconds(lambda: [theirs(picture) for picture in pictures]))
    views = IMAGES * pipeline.preset.views
    rates = {name: views / median(times[1:]) for name, times in took.items()}  # the first is a warm-up
    return {
        "uota_views_per_second": rates["planes"],
        "uota_interleaved_views_per_second": rates["interleaved"],
        "lightly_views_per_second": rates["lightly"],
        "ratio": rates["planes"] / rates["lightly"],
        "ratio_interleaved": rates["interleaved"] / rates["lightly"],
    }


def small_views() -> dict[str, float]:
    """Milliseconds for the views of 128 grey 56x56 images, nothing injected and a quarter injected."""
    source = Stack(list(smooth_images(128, 1, 56, 56)))
    result = {}
    for name, share in (("scenes_ms_per_batch_of_128", 0.0), ("scenes_inject_25_ms_per_batch_of_128", 0.25)):
        pipeline = ViewPipeline(PRESETS["scenes"], seed=0, inject=share)
        batches = [[(epoch, index) for index in range(128)] for epoch in range(40)]
        took = [seconds(partial(pipeline, source, samples)) for samples in batches]
        result[name] = 1000 * median(took[5:])
    return result


def main() -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    result = {**compare_with_lightly(), **small_views()}
    for name, value in result.items():
        print(f"{name:40} {value:10.2f}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({name: round(value, 3) for name, value in result.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
