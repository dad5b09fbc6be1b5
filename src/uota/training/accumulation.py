"""Gradient accumulation in which arbiter and loss see the whole batch.

This is GradCache (Gao et al., *Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup*, RepL4NLP
2021): all parts of a batch are embedded without a graph; the loss of the whole batch gives the gradients of its
embeddings; and each part is embedded again, with a graph and the same random numbers, through which its gradients go on
to the weights.
A step then needs the memory of one part, and of the embeddings of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import adaptive_avg_pool2d

from uota.encoders.encoder import EARLY_SIDE
from uota.encoders.norms import statistics_kept
from uota.errors import UotaError
from uota.methods.card import Method
from uota.methods.embedded import Embedded, Part, Step
from uota.numerics import seed_of


def check_parts(parts: int, images: int) -> None:
    """Require an image for each part.

    Args:
        parts: number of parts.
        images: number of images of each device in a step.

    Raises:
        UotaError: there are fewer.
    """
    if parts > images:
        raise UotaError(f"accumulate is {parts}, and a step has {images} images on each device; lower it")


def embed_in_parts(method: Method, views: list[Tensor], step: Step, parts: int, seed: int) -> Embedded:
    """Embed a batch in parts, each of which a backward pass embeds again.

    Early maps are pooled to what arbiters see of them.

    Args:
        method: whose `embed` is called twice for each part.
        views: of the whole batch, one tensor per size.
        step: of training.
        parts: number of parts.
        seed: of what embedding a part draws at random, along with the part's number.

    Raises:
        UotaError: what the method's `embed` returns cannot be put together from parts.
    """
    ends = [part * views[0].shape[1] // parts for part in range(parts + 1)]
    places = [slice(start, end) for start, end in pairwise(ends)]
    embedding = _Embedding(method, views, step, places, seed, _same_autocast(views[0].device.type))
    with torch.no_grad():
        joined = _joined([embedding.of_part(part, again=False) for part in range(parts)], method, views, places)
    names = [name for name, value in vars(joined).items() if isinstance(value, Tensor) and name != "targets"]
    made = [getattr(joined, name) for name in names]
    made = _EmbedAgain.apply(embedding, names, *made, *embedding.parameters)
    return replace(joined, **dict(zip(names, made, strict=True)))


def _same_autocast(device: str) -> dict[str, Any]:
    """Return the arguments with which autocast does what it does now; casts are not kept, as they have no gradient."""
    dtype, enabled = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
    return {"device_type": device, "dtype": dtype, "enabled": enabled, "cache_enabled": False}


@dataclass(frozen=True)
class _Embedding:
    """What it takes to embed the parts of a batch, as often as needed."""

    method: Method
    views: list[Tensor]
    step: Step
    places: list[slice]
    seed: int
    autocast: dict[str, Any]

    @property
    def network(self) -> nn.Module:
        assert isinstance(self.method, nn.Module)  # as every method is
        return self.method

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def of_part(self, number: int, again: bool) -> Any:
        """Embed a part; what a method of the user's own returns is not checked yet."""
        torch.manual_seed(seed_of(self.seed, number))
        place = self.places[number]
        labels, index = (None if each is None else each[place] for each in (self.step.labels, self.step.index))
        part = Part(place.start, self.views[0].shape[1], again)
        step = replace(self.step, labels=labels, index=index, part=part)
        with torch.autocast(**self.autocast):
            return self.method.embed([of_size[:, place] for of_size in self.views], step)


class _EmbedAgain(torch.autograd.Function):
    """Tensors of parts that are put together already; the backward pass embeds each part again.

    The gradients of all parts are summed before they leave the backward pass: each parameter gets its gradient once, as
    DistributedDataParallel expects.
    """

    @staticmethod
    def forward(ctx: Any, embedding: _Embedding, names: Sequence[str], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.embedding, ctx.names = embedding, names
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors[: len(names)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        embedding: _Embedding = ctx.embedding
        sums: list[Tensor | None] = [None] * len(embedding.parameters)
        with torch.enable_grad(), statistics_kept(embedding.network):
            for number, place in enumerate(embedding.places):
                embedded = embedding.of_part(number, again=True)
                made = [getattr(embedded, name) for name in ctx.names]
                of_part = [None if gradient is None else gradient[:, place] for gradient in gradients]
                sums = _added(sums, _through(made, of_part, embedding.parameters))
        return None, None, *(None for _ in ctx.names), *sums


def _through(
    made: list[Tensor], gradients: list[Tensor | None], parameters: list[nn.Parameter]
) -> tuple[Tensor | None, ...]:
    """Propagate the gradients of some tensors back to parameters; None for those that do not matter."""
    pairs = [(x, y) for x, y in zip(made, gradients, strict=True) if x.requires_grad and y is not None]
    if not pairs:
        return (None,) * len(parameters)
    outputs, known = zip(*pairs, strict=True)
    return torch.autograd.grad(outputs, parameters, known, allow_unused=True)


def _added(sums: Sequence[Tensor | None], more: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [b if a is None else a if b is None else a.add_(b) for a, b in zip(sums, more, strict=True)]


def _joined(parts: list[Any], method: Method, views: list[Tensor], places: list[slice]) -> Embedded:
    """Put the parts of a batch together.

    Raises:
        UotaError: that is not possible.
    """
    if not all(isinstance(part, Embedded) for part in parts):
        raise _inseparable(method, f"is a {type(parts[0]).__name__}, not an Embedded")
    made: dict[str, Any] = {"by_size": views}
    maps = zip(*(part.early for part in parts), strict=True)
    made["early"] = [torch.cat([_pooled(each) for each in of_size], 1) for of_size in maps]
    for name in (field.name for field in fields(parts[0]) if field.name not in made):
        values = [getattr(part, name) for part in parts]
        made[name] = None if values[0] is None else _cat(values, places, method, name)
    return type(parts[0])(**made)


def _cat(values: list[Any], places: list[slice], method: Method, name: str) -> Tensor:
    for value, place in zip(values, places, strict=True):
        if not isinstance(value, Tensor) or value.dim() < 2 or value.shape[1] != place.stop - place.start:
            raise _inseparable(method, f"has {name}, which is not of shape (views, images, …)")
    return torch.cat(values, 1)


def _inseparable(method: Method, why: str) -> UotaError:
    return UotaError(
        f"{type(method).__name__} cannot be trained with accumulate: what its embed returns {why}; set accumulate to 1"
    )


def _pooled(maps: Tensor) -> Tensor:
    return adaptive_avg_pool2d(maps.flatten(0, 1), EARLY_SIDE).unflatten(0, maps.shape[:2])
