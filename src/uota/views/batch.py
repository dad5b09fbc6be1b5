"""A batch of views, and one whose photometric operations are still to be done."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, Num
from torch import Tensor

from uota.views.operations import Plan
from uota.views.parameters import ViewParameters
from uota.views.photometric import finish_photometric


@dataclass
class Views:
    """The views of a batch of images and the parameters that made them.

    Attributes:
        by_size: normalised views, one tensor (views of that size, batch, channels, h, w) per size, global views first.
        parameters: augmentation parameters of each view, (views, batch), in the order of `by_size`.
        index: (batch,), index of each image in its source, or of each item if the source is grouped.
        wrong: (views, batch), ground truth: True for an outlier (injected, or known by the source); None if unknown.
        labels: (batch,), classes of the requested images; None if they are unlabelled.
    """

    by_size: list[Float[Tensor, "_views batch channels _h _w"]]
    parameters: ViewParameters
    index: Int64[Tensor, " batch"]
    wrong: Bool[Tensor, "views batch"] | None
    labels: Int64[Tensor, " batch"] | None = None

    @property
    def views(self) -> int:
        """Number of views of each image."""
        return sum(len(views) for views in self.by_size)

    @property
    def batch(self) -> int:
        """Number of images."""
        return len(self.index)

    def select(self, chosen: Int64[Tensor, "kept batch"], by_size: list[Tensor]) -> "Views":
        """Return a subset of the views: `chosen` indexes them among all views, `by_size` holds their tensors."""
        rows = (chosen, torch.arange(self.batch, device=chosen.device))
        wrong = None if self.wrong is None else self.wrong[rows]
        return Views(by_size, self.parameters[rows], self.index, wrong, self.labels)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Views":
        """Return the same views with changed tensors, such as moved ones."""
        wrong = None if self.wrong is None else change(self.wrong)
        labels = None if self.labels is None else change(self.labels)
        by_size = [change(views) for views in self.by_size]
        return Views(by_size, self.parameters.each(change), change(self.index), wrong, labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Views":
        """Move all tensors to `device`."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Views":
        """Copy all tensors to page-locked memory; torch's DataLoader calls this."""
        return self.each(lambda tensor: tensor.pin_memory())

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Keep the memory of all tensors, which another stream has made, until the work on `stream` so far is done."""

        def record(tensor: Tensor) -> Tensor:
            tensor.record_stream(stream)
            return tensor

        self.each(record)


@dataclass
class UnfinishedViews:
    """Crops, and what remains to be done to make them views, on any device.

    Attributes:
        crops: one tensor (views of that size, batch, channels, h, w) per size, global views first; uint8, or floats
            in [0, 1] if the images are small.
        plans: what remains to be done of each size.
        rest: the views that will be, without pixels.
    """

    crops: list[Num[Tensor, "_views batch channels _h _w"]]
    plans: list[Plan]
    rest: Views

    def finish(self) -> Views:
        """Make the views on the device that the crops are on; float crops are overwritten."""
        pairs = zip(self.crops, self.plans, strict=True)
        made = [finish_photometric(crops.flatten(0, 1), plan).view_as(crops) for crops, plan in pairs]
        return replace(self.rest, by_size=made)

    def each(self, change: Callable[[Tensor], Tensor]) -> "UnfinishedViews":
        """Return the same with changed tensors, such as moved ones."""
        plans = [plan.each(change) for plan in self.plans]
        return UnfinishedViews([change(crops) for crops in self.crops], plans, self.rest.each(change))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "UnfinishedViews":
        """Move all tensors to `device`."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "UnfinishedViews":
        """Copy all tensors to page-locked memory; torch's DataLoader calls this."""
        return self.each(lambda tensor: tensor.pin_memory())
