"""What arbitration costs as it grows: python -m benchmarks.scale, then docs/scale.md explains.

Time and memory of one call are modelled as sums of a few kinds of work, counted from the mathematics. What one unit of
each kind costs here is fitted on some shapes; other shapes, larger and smaller, are predicted and then measured. All
goes to benchmarks/results/scale.json, with what the same counts say of 64 GPUs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch.profiler import ProfilerActivity, profile

from benchmarks.arbitration import released
from benchmarks.timing import seconds
from uota import Arbiter, arbitrate
from uota.arbitration.scores.learned import HIDDEN, OUTPUT

OUT = Path(__file__).parent / "results/scale.json"
REPETITIONS = 9
FEATURES = 512


class Shape(NamedTuple):
    """Of one call on one process: its views and images, all images, width of the embeddings."""

    views: int
    images: int
    everybody: int
    dim: int

    @property
    def rows(self) -> int:
        return self.views * self.images


def on_one_process(views: int, images: int, dim: int) -> Shape:
    return Shape(views, images, images, dim)


FITTED_SHAPES = [(8, 256, 128), (8, 768, 256), (4, 512, 512), (8, 512, 128), (4, 896, 384), (2, 512, 256)]
PREDICTED_SHAPES = [(8, 512, 256), (4, 768, 320), (8, 640, 192), (8, 384, 384)]
FITTED, PREDICTED = ([on_one_process(*shape) for shape in shapes] for shapes in (FITTED_SHAPES, PREDICTED_SHAPES))
# The ruler of docs/scale.md: 4,096 images of 8 views on 64 processes.
LARGE = Shape(8, 64, 4096, 256)


def papers_work(shape: Shape) -> list[float]:
    """Multiplications of the scatter and of the triangular solve; of the factor; entries passed over; calls."""
    rows, dim = shape.rows, shape.dim
    return [1.5 * rows * dim**2, dim**3 / 6, rows * dim, 1]


def released_work(shape: Shape) -> list[float]:
    """The same on all views of all processes, with an inverse; and the product of all pairs of them."""
    rows, dim = shape.views * shape.everybody, shape.dim
    return [2 * rows * dim**2 + rows**2 * dim, dim**3, rows * dim, rows**2, 1]


def learned_work(shape: Shape) -> list[float]:
    """Forward and twice backward: head and cosines to all centres; passes over cosines; over activations; calls."""
    rows, pairs = shape.rows, shape.rows * shape.everybody
    head = FEATURES * HIDDEN + HIDDEN * OUTPUT
    return [3 * (rows * head + pairs * OUTPUT), pairs, rows * (FEATURES + 2 * HIDDEN), 1]


def papers_numbers(shape: Shape) -> list[float]:
    """Numbers held at the peak: embeddings and what is made of them; matrices of D by D."""
    return [shape.rows * shape.dim, shape.dim**2]


def released_numbers(shape: Shape) -> list[float]:
    rows = shape.views * shape.everybody
    return [rows * shape.dim, rows**2]


def learned_numbers(shape: Shape) -> list[float]:
    return [shape.rows * (FEATURES + 2 * HIDDEN), shape.rows * shape.everybody]


class Way(NamedTuple):
    """A way to weigh, what it works, what it holds, and how many numbers a process gives to or takes from others."""

    work: Callable[[Shape], list[float]]
    numbers: Callable[[Shape], list[float]]
    traffic: Callable[[Shape], int]


def of_the_head() -> int:
    return 2 * FEATURES + (FEATURES + 1) * HIDDEN + 2 * HIDDEN + (HIDDEN + 1) * OUTPUT


WAYS = {
    "paper": Way(papers_work, papers_numbers, lambda shape: shape.dim**2 + 4),
    "released": Way(released_work, released_numbers, lambda shape: shape.views * shape.everybody * shape.dim),
    "learned": Way(learned_work, learned_numbers, lambda shape: 2 * shape.everybody * OUTPUT + of_the_head() + 773),
}


def call_of(way: str, shape: Shape) -> Callable[[], object]:
    """One call, on embeddings as wide as the shape says, or on features of a small network."""
    width = FEATURES if way == "learned" else shape.dim
    rows = torch.randn(shape.views, shape.images, width, generator=torch.Generator().manual_seed(0))
    if way == "learned":
        arbiter = Arbiter("learned")
        return lambda: arbiter(rows)
    return (lambda: arbitrate(rows, tau=2.7 * shape.dim)) if way == "paper" else (lambda: released(rows))


def measured_seconds(way: str, shapes: list[Shape]) -> list[float]:
    """Medians of calls in rounds, so that what else the machine does meets all shapes alike."""
    calls = [call_of(way, shape) for shape in shapes]
    rounds = [[seconds(call) for call in calls] for _ in range(REPETITIONS + 1)]
    return [median(each) for each in zip(*rounds[1:], strict=True)]


def measured_bytes(way: str, shapes: list[Shape]) -> list[float]:
    return [bytes_of(way, shape) for shape in shapes]


def bytes_of(way: str, shape: Shape) -> float:
    """By how much a call raises what PyTorch has allocated, at its peak."""
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
    """What a unit of each kind costs, none less than nothing, least squares of relative errors."""
    return nnls(np.array(rows) / np.array(values)[:, None], np.ones(len(values)))[0]


def check(way: str, kinds: Callable[[Shape], list[float]], measure: Callable[..., list[float]]) -> dict[str, object]:
    """Fit on some shapes, predict others; and LARGE, on this machine."""
    found = measure(way, FITTED + PREDICTED)
    costs = fitted([kinds(shape) for shape in FITTED], found[: len(FITTED)])
    points = []
    for shape, value in zip(PREDICTED, found[len(FITTED) :], strict=True):
        predicted = float(costs @ kinds(shape))
        points.append({"shape": shape[:2] + shape[3:], "predicted": predicted, "measured": value})
        error = f"{100 * (predicted / value - 1):+.0f} %"
        print(f"{way:9} {points[-1]['shape']!s:15} {predicted:.4g} predicted, {value:.4g} measured, {error}")
    return {"costs": costs.tolist(), "points": points, "large": float(costs @ kinds(LARGE))}


def main() -> None:
    torch.set_num_threads(1)
    made = {}
    for name, way in WAYS.items():
        time, memory = check(name, way.work, measured_seconds), check(name, way.numbers, measured_bytes)
        made[name] = {"seconds": time, "bytes": memory, "numbers_exchanged": way.traffic(LARGE)}
    OUT.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
