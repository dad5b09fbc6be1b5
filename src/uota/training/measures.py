"""Measures of training steps: means over any number of them, and what the embeddings of an epoch show."""

import time
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.classification import BinaryAUROC

from uota.arbitration.result import Number, ess_on_device
from uota.distributed import mean_over_ranks
from uota.numerics import exact_device
from uota.training.module import StepOutput
from uota.training.neighbours import Neighbours


def measures_of(step: StepOutput, names: Sequence[str]) -> dict[str, Number]:
    """Return the measures of one step on this rank, without waiting for the device.

    Args:
        step: output of the training step.
        names: of the types of views, one per size.
    """
    weights, verdict, views = step["weights"], step["verdict"], step["views"]
    found: dict[str, Number | None] = {"loss": step["loss"].detach()}
    counts = [len(of_size) for of_size in views.by_size]
    for name, of_size in zip(names, weights.split(counts), strict=True):
        found[f"weight_{name}"] = of_size.mean()
    if verdict is not None:
        found |= {"ess": ess_on_device(verdict.weights), "outlier_rate": verdict.outlier_rate}
    found["candidates_outlier_rate"] = step["candidates_outlier_rate"]
    if views.wrong is not None:
        found["true_outlier_rate"] = views.wrong.float().mean()
    return {name: value for name, value in found.items() if value is not None}


def read_measures(steps: Sequence[dict[str, Number]]) -> list[dict[str, float]]:
    """Read the measures of several steps, with a single copy from the device."""
    tensors = [value for step in steps for value in step.values() if isinstance(value, Tensor)]
    exact = torch.float64 if tensors and tensors[0].device == exact_device(tensors[0].device) else torch.float32
    read = iter(torch.stack([value.to(exact) for value in tensors]).tolist() if tensors else [])
    return [
        {name: next(read) if isinstance(value, Tensor) else value for name, value in step.items()} for step in steps
    ]


class Means:
    """Means of measures over the steps that are added.

    Attributes:
        images: number of images, over all ranks.
    """

    def __init__(self) -> None:
        self.images = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._began = time.perf_counter()

    def add(self, measures: dict[str, float], images: int) -> None:
        """Add the measures of a step, and its number of images over all ranks."""
        self.images += images
        for name, value in measures.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1

    def on_this_rank(self) -> dict[str, float]:
        """Return the means without any communication, and the images per second."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        return means | {"images_per_second": self.images / (time.perf_counter() - self._began)}

    def over_ranks(self, device: torch.device) -> dict[str, float]:
        """Return the means over all ranks, which must call this together."""
        means = self.on_this_rank()
        (together,) = mean_over_ranks(torch.tensor(list(means.values()), dtype=torch.float32, device=device))
        return dict(zip(means, together.tolist(), strict=True))


class EpochDiagnosis:
    """What the embeddings, the labels and the ground truth of an epoch show: RankMe, kNN accuracy and AUROC."""

    def __init__(self) -> None:
        self._embeddings = torch.zeros(0)
        self._neighbours = Neighbours()
        self._auroc: BinaryAUROC | None = None
        self._unread: list[tuple[Tensor, Tensor]] = []

    def add(self, step: StepOutput) -> None:
        """Add the output of a step, without waiting for the device."""
        views = step["views"]
        self._embeddings = step["embeddings"].flatten(0, 1)
        if views.labels is not None:
            self._neighbours.add(step["features"], views.labels)
        if views.wrong is not None and step["verdict"] is not None:
            self._unread.append((step["weights"].flatten(), views.wrong.flatten()))

    def read(self) -> None:
        """Read what steps have left on the device."""
        self._neighbours.read()
        if self._unread:
            self._auroc = self._auroc or BinaryAUROC()
            weights, wrong = (torch.cat(parts).cpu() for parts in zip(*self._unread, strict=True))
            self._auroc.update(-weights, wrong.int())
            self._unread = []

    def values(self) -> dict[str, float]:
        """Return what can be computed of them; all ranks must call this together."""
        self.read()
        found = {"rankme": rank_me(self._embeddings)}
        accuracy = self._neighbours.top1()
        if accuracy is not None:
            found["accuracy"] = accuracy
        if self._auroc is not None:
            found["auroc"] = float(self._auroc.compute())
        return found


def rank_me(embeddings: Float[Tensor, "rows dim"]) -> float:
    """Effective rank of embeddings: exp of the entropy of their singular values (Garrido et al., 2023, equation 1)."""
    known = embeddings.float().nan_to_num(0, 0, 0)  # NaN would raise before it is said that the training has diverged
    values = torch.linalg.svdvals(known)
    share = values / values.sum().clamp_min(1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))
