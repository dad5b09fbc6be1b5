"""Cost of arbitration as a function of its size: python -m benchmarks.scale  (explained in docs/scale.md)

Time and memory of one call are modelled as sums of a few kinds of work, counted from the mathematics. The cost of one
unit of each kind on this machine is fitted on some shapes; other shapes, larger and smaller, are predicted and then
measured. All figures go to benchmarks/results/scale.json, with those that the same counts predict for 64 GPUs.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch.profiler import ProfilerActivity, profile

from benchmarks.arbitration import released
from benchmarks.command_line import RESULTS, make_parser, parse, positive, start
from benchmarks.timing import seconds
from uota import Arbiter, arbitrate
from uota.arbitration.scores.learned import HIDDEN, OUTPUT

OUT = RESULTS / "scale.json"
REPETITIONS = 9
FEATURES = 512


class Shape(NamedTuple):
    """Sizes of one call on one process: its views and images, the images of all processes, width of the embeddings."""

    views: int
    images: int
    everybody: int
    dim: int

    @property
    def rows(self) -> int:
        """Views of all images on this process."""
        return self.views * self.images


def on_one_process(views: int, images: int, dim: int) -> Shape:
    """Return the shape of a call on the only process."""
    return Shape(views, images, images, dim)


Shapes = tuple[list[Shape], list[Shape]]  # to fit, and to predict
FITTED_SHAPES = [(8, 256, 128), (8, 768, 256), (4, 512, 512), (8, 512, 128), (4, 896, 384), (2, 512, 256)]
PREDICTED_SHAPES = [(8, 512, 256), (4, 768, 320), (8, 640, 192), (8, 384, 384)]
# Enough shapes to fit the five kinds of work of the released formulation.
TINY_SHAPES = [(2, 16, 16), (2, 32, 16), (4, 16, 32), (4, 32, 16), (2, 32, 32)]
# The reference of docs/scale.md: 4,096 images of 8 views on 64 processes.
LARGE = Shape(8, 64, 4096, 256)


def papers_work(shape: Shape) -> list[float]:
    """Count multiplications of scatter and triangular solve, those of the factor, passes over entries, and calls."""
    rows, dim = shape.rows, shape.dim
    return [1.5 * rows * dim**2, dim**3 / 6, rows * dim, 1]


def released_work(shape: Shape) -> list[float]:
    """Count the same for all views of all processes, with an inverse and the product of all pairs."""
    rows, dim = shape.views * shape.everybody, shape.dim
    return [2 * rows * dim**2 + rows**2 * dim, dim**3, rows * dim, rows**2, 1]


def learned_work(shape: Shape) -> list[float]:
    """Count head and cosines to all centres, forward and backward; passes over cosines and activations; calls."""
    rows, pairs = shape.rows, shape.rows * shape.everybody
    head = FEATURES * HIDDEN + HIDDEN * OUTPUT
    return [3 * (rows * head + pairs * OUTPUT), pairs, rows * (FEATURES + 2 * HIDDEN), 1]


def papers_numbers(shape: Shape) -> list[float]:
    """Count numbers held at the peak: of the size of the embeddings, and in matrices of D by D."""
    return [shape.rows * shape.dim, shape.dim**2]


def released_numbers(shape: Shape) -> list[float]:
    """Count the same for all views of all processes, and numbers in the product of all pairs."""
    rows = shape.views * shape.everybody
    return [rows * shape.dim, rows**2]


def learned_numbers(shape: Shape) -> list[float]:
    """Count activations, and cosines to all centres."""
    return [shape.rows * (FEATURES + 2 * HIDDEN), shape.rows * shape.everybody]


class Way(NamedTuple):
    """A way to compute weights: its work, the numbers it holds, and those that a process exchanges with others."""

    work: Callable[[Shape], list[float]]
    numbers: Callable[[Shape], list[float]]
    traffic: Callable[[Shape], int]


def of_the_head() -> int:
    """Count the parameters and statistics of the learned head."""
    return 2 * FEATURES + (FEATURES + 1) * HIDDEN + 2 * HIDDEN + (HIDDEN + 1) * OUTPUT


WAYS = {
    "paper": Way(papers_work, papers_numbers, lambda shape: shape.dim**2 + 4),
    "released": Way(released_work, released_numbers, lambda shape: shape.views * shape.everybody * shape.dim),
    "learned": Way(learned_work, learned_numbers, lambda shape: 2 * shape.everybody * OUTPUT + of_the_head() + 773),
}


def call_of(way: str, shape: Shape) -> Callable[[], object]:
    """Return a call on embeddings of the shape, or for the learned arbiter on features of a small network."""
    width = FEATURES if way == "learned" else shape.dim
    rows = torch.randn(shape.views, shape.images, width, generator=torch.Generator().manual_seed(0))
    if way == "learned":
        arbiter = Arbiter("learned")
        return lambda: arbiter(rows)
    return (lambda: arbitrate(rows, tau=2.7 * shape.dim)) if way == "paper" else (lambda: released(rows))


def measured_seconds(way: str, shapes: list[Shape], repetitions: int) -> list[float]:
    """Return medians of calls in rounds, so that other work on the machine affects all shapes alike."""
    calls = [call_of(way, shape) for shape in shapes]
    rounds = [[seconds(call) for call in calls] for _ in range(repetitions + 1)]
    return [median(each) for each in zip(*rounds[1:], strict=True)]


def measured_bytes(way: str, shapes: list[Shape]) -> list[float]:
    """Return the bytes of a call of each shape."""
    return [bytes_of(way, shape) for shape in shapes]


def bytes_of(way: str, shape: Shape) -> float:
    """Return by how much a call raises the bytes that PyTorch has allocated, at the peak."""
    call = call_of(way, shape)
    call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    held = [event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]"]
    first = next(event["args"]["Bytes"] for event in events if event["name"] == "[memory]")
    return max(held) - (held[0] - first)


def fitted(rows: list[list[float]], values: list[float]) -> np.ndarray:
    """Fit the cost of a unit of each kind, at least 0, by least squares of relative errors."""
    return nnls(np.array(rows) / np.array(values)[:, None], np.ones(len(values)))[0]


def check(
    way: str, kinds: Callable[[Shape], list[float]], measure: Callable[..., list[float]], shapes: Shapes
) -> dict[str, object]:
    """Fit the costs on some shapes and predict others, and LARGE on this machine."""
    fit, predict = shapes
    found = measure(way, fit + predict)
    costs = fitted([kinds(shape) for shape in fit], found[: len(fit)])
    points = []
    for shape, value in zip(predict, found[len(fit) :], strict=True):
        predicted = float(costs @ kinds(shape))
        points.append({"shape": shape[:2] + shape[3:], "predicted": predicted, "measured": value})
        error = f"{100 * (predicted / value - 1):+.0f} %"
        print(f"{way:9} {points[-1]['shape']!s:15} {predicted:.4g} predicted, {value:.4g} measured, {error}")
    return {"costs": costs.tolist(), "points": points, "large": float(costs @ kinds(LARGE))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = make_parser("scale", __doc__)
    parser.add_argument("--repetitions", type=positive, help=f"calls of each shape (default {REPETITIONS})")
    asked = parse(parser, arguments, OUT)
    torch.set_num_threads(1)
    chosen = (TINY_SHAPES, TINY_SHAPES[:1]) if asked.tiny else (FITTED_SHAPES, PREDICTED_SHAPES)
    fit, predict = ([on_one_process(*shape) for shape in shapes] for shapes in chosen)
    timing = partial(measured_seconds, repetitions=asked.repetitions or (1 if asked.tiny else REPETITIONS))
    made = {}
    for name, way in WAYS.items():
        time = check(name, way.work, timing, (fit, predict))
        memory = check(name, way.numbers, measured_bytes, (fit, predict))
        made[name] = {"seconds": time, "bytes": memory, "numbers_exchanged": way.traffic(LARGE)}
    asked.out.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    start(main)
