"""The pipeline from images of a source to views with the parameters that made them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from uota.errors import UotaError
from uota.views.batch import UnfinishedViews, Views
from uota.views.colours import GREY
from uota.views.crops import are_small, crop_any, crop_small, resized_aliased
from uota.views.operations import Plan
from uota.views.parameters import ViewParameters, column, sample_uniforms, view_parameters
from uota.views.photometric import normalise, photometric, plan_photometric
from uota.views.view_preset import EvaluationLike, ViewPreset, ViewSizePreset

Sample = tuple[int, int]  # (epoch, index)


@runtime_checkable
class ImageSource(Protocol):
    """The members of an image source that a view pipeline needs; `uota.data.Source` has more.

    Attributes:
        labels: class of each image; None if the images are unlabelled.
    """

    labels: Int64[Tensor, " len"] | None

    def __len__(self) -> int:
        """Number of images."""
        ...

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _h _w"]]:
        """Return these images, decoded, with 1 or 3 channels."""
        ...

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """Return which crops are outliers; None if that is unknown."""
        ...


@runtime_checkable
class GroupedSource(ImageSource, Protocol):
    """A source whose items are several images each (`uota.data.Groups`).

    Attributes:
        members: indices of the images of each item.
    """

    members: Sequence[Sequence[int]]


@dataclass(frozen=True)
class ViewPipeline:
    """Makes the views of a preset; all randomness is a function of (seed, epoch, index).

    Args:
        preset: view sizes and their augmentations, e.g. `PRESETS["swav"]`.
        seed: seed of all randomness, 0 to 2^64 - 1.
        inject: share of views, in [0, 1], that show another image than requested (global views too).
        inject_from: where that image comes from: "strangers", the other images of the source, or "batch", the batch.

    >>> import torch
    >>> from uota.views import PRESETS, ViewPipeline
    >>> views = ViewPipeline(PRESETS["small-grey"], seed=0).of_image(torch.zeros(1, 28, 28, dtype=torch.uint8))
    >>> [tuple(tensor.shape) for tensor in views.by_size]
    [(2, 1, 1, 24, 24), (4, 1, 1, 16, 16)]
    """

    preset: ViewPreset
    seed: int = 0
    inject: float = 0.0
    inject_from: Literal["strangers", "batch"] = "strangers"

    def __post_init__(self) -> None:
        """Require a valid share of injected views and a known origin."""
        if not 0 <= self.inject <= 1:
            raise UotaError(f"inject is {self.inject}; it is a share of views and must lie between 0 and 1")
        if self.inject_from not in ("strangers", "batch"):
            raise UotaError(f"inject_from is {self.inject_from!r}; it must be 'strangers' or 'batch'")

    def __call__(self, source: ImageSource, samples: Sequence[Sample]) -> Views:
        """Make the views of each (epoch, index)."""
        images, which, views = self._draw(source, samples)
        return replace(views, by_size=make_views(images, which, views.parameters, self.preset))

    def cut(self, source: ImageSource, samples: Sequence[Sample]) -> UnfinishedViews:
        """Make the crops of the same views, for another device to finish."""
        images, which, views = self._draw(source, samples)
        crops: list[Tensor] = []
        plans: list[Plan] = []
        for cut, part, view_size in _crops(images, which, views.parameters, self.preset):
            left, plan = plan_photometric(cut, part, view_size, self.preset.mean, self.preset.std)
            crops.append(left.view(view_size.count, views.batch, *left.shape[1:]))
            plans.append(plan)
        return UnfinishedViews(crops, plans, views)

    def _draw(self, source: ImageSource, samples: Sequence[Sample]) -> tuple[list[Tensor], Tensor, Views]:
        """Return the images, which of them each view shows (views, batch), and the views without pixels."""
        if not samples:
            raise UotaError("the list of samples is empty; a batch of views needs at least one sample (epoch, index)")
        uniforms = sample_uniforms(self.seed, samples, self.preset.views)
        requested = np.array([index for _, index in samples], dtype=np.int64)
        items, injected = self._choose_items(uniforms, requested, len(source))
        shown = items
        if isinstance(source, GroupedSource):
            shown = _choose_members(source.members, items, injected, uniforms)
        wanted, which = np.unique(shown, return_inverse=True)
        images = [_with_channels(image, self.preset.channels) for image in source.images(wanted.tolist())]
        which = which.reshape(shown.shape)
        height, width = (np.array([image.shape[axis] for image in images])[which] for axis in (-2, -1))
        parameters = view_parameters(self.preset, uniforms, torch.from_numpy(shown), height, width)
        index = torch.from_numpy(requested)
        wrong = source.truth(index, parameters.box)
        if self.inject:
            known = torch.from_numpy(injected)
            wrong = known if wrong is None else wrong | known
        labels = None if source.labels is None else source.labels[index]
        return images, torch.from_numpy(which), Views([], parameters, index, wrong, labels)

    def render(
        self, source: ImageSource, parameters: ViewParameters
    ) -> list[Float[Tensor, "_views batch channels _h _w"]]:
        """Make views again from their parameters, e.g. of some columns of `Views.parameters`, injected views included.

        Small images that are all of one size are resampled in floating point and others in whole numbers, so that views
        made in another selection of images may differ by rounding.
        """
        wanted, which = parameters.image.unique(return_inverse=True)
        images = [_with_channels(image, self.preset.channels) for image in source.images(wanted.tolist())]
        return make_views(images, which, parameters, self.preset)

    def of_image(self, image: UInt8[Tensor, "channels height width"], epoch: int = 0, index: int = 0) -> Views:
        """Make the views of one image as a batch of 1; another `epoch` or `index` gives other views."""
        return self(_OneImage(image), [(epoch, index)])

    def _choose_items(self, uniforms: ndarray, requested: ndarray, total: int) -> tuple[ndarray, ndarray]:
        """Choose the item that each view shows (views, batch), and return whether it was injected."""
        shown = np.broadcast_to(requested, uniforms.shape[:2]).copy()
        injected = column(uniforms, "injected") < self.inject
        pool = total if self.inject_from == "strangers" else len(requested)
        if self.inject and pool < 2:
            raise UotaError("injected views need at least two images to choose from; give more, or set inject to 0")
        if not injected.any():
            return shown, injected
        steps = 1 + np.floor(column(uniforms, "other_item") * (pool - 1)).astype(np.int64)
        places = (shown if self.inject_from == "strangers" else np.arange(pool)) + steps
        other = places % pool if self.inject_from == "strangers" else requested[places % pool]
        return np.where(injected, other, shown), injected


def _choose_members(members: Sequence[Sequence[int]], items: ndarray, injected: ndarray, uniforms: ndarray) -> ndarray:
    """Choose the image of its item that each view shows (views, batch).

    Images are drawn without replacement; if an item has fewer images than views, each is used once before any is used
    again.
    """
    # The leading bits of this uniform choose the injected item, the following ones an image of an item.
    uniform = column(uniforms, "other_item") * 2**20 % 1
    chosen = np.empty_like(items)
    for views, items_of_sample, is_injected, place in zip(chosen.T, items.T, injected.T, uniform.T, strict=True):
        left: list[int] = []
        for view, item in enumerate(items_of_sample):
            if is_injected[view]:
                views[view] = members[item][int(place[view] * len(members[item]))]
                continue
            left = left or list(members[item])
            views[view] = left.pop(int(place[view] * len(left)))
    return chosen


def make_views(
    images: Sequence[UInt8[Tensor, "channels _h _w"]],
    which: Int64[Tensor, "views batch"],
    parameters: ViewParameters,
    preset: ViewPreset,
) -> list[Float[Tensor, "_views batch channels _h _w"]]:
    """Make view (v, b) from `images[which[v, b]]` by its parameters; returns one normalised tensor per view size."""
    return [
        photometric(crops, part, view_size, preset.mean, preset.std).unflatten(0, (view_size.count, -1))
        for crops, part, view_size in _crops(images, which, parameters, preset)
    ]


def _crops(
    images: Sequence[Tensor], which: Tensor, parameters: ViewParameters, preset: ViewPreset
) -> Iterator[tuple[Tensor, ViewParameters, ViewSizePreset]]:
    """Yield the crops of each view size, (views * batch, channels, size, size), with their parameters."""
    small = are_small(images)
    stack = torch.stack(list(images)).float().mul_(1 / 255) if small else torch.empty(0)
    start = 0
    for view_size in preset.sizes:
        views = slice(start, start + view_size.count)
        part = parameters[views]
        cut = which[views], part.box, part.flip, view_size.size, view_size.interpolation
        yield crop_small(stack, *cut) if small else crop_any(images, *cut), part, view_size
        start += view_size.count


def evaluation_view(
    images: Sequence[UInt8[Tensor, "_channels _h _w"]], preset: ViewPreset
) -> Float[Tensor, "batch channels size size"]:
    """Prepare images for evaluation: resize with antialiasing, crop the centre, normalise.

    Presets for small images (without `evaluation_resize`) resize the whole image to a square, without a crop.
    """
    if not images:
        raise UotaError("the list of images to evaluate is empty; give at least one")
    out = torch.cat([_evaluation_pixels(_with_channels(image, preset.channels), preset) for image in images])
    return normalise(out, preset.mean, preset.std)


class ViewDataset(Dataset[Views]):
    """A source and a pipeline as a data set for torch's DataLoader, which makes whole batches at once.

    Use it with a `batch_sampler` that yields lists of (epoch, index), and `collate_fn=identity_collate`.
    """

    def __init__(self, source: ImageSource, pipeline: ViewPipeline) -> None:
        """Store both; no image is read yet."""
        self.source, self.pipeline = source, pipeline

    def __len__(self) -> int:
        """Number of images of the source."""
        return len(self.source)

    def __getitem__(self, sample: Sample) -> Views:
        """Make the views of one (epoch, index) as a batch of 1."""
        return self.pipeline(self.source, [sample])

    def __getitems__(self, samples: list[Sample]) -> Views:
        """Make the views of a list of (epoch, index) as one batch."""
        return self.pipeline(self.source, samples)


class CropDataset(Dataset[UnfinishedViews]):
    """A source and a pipeline as a data set of crops that another device finishes; otherwise like `ViewDataset`."""

    def __init__(self, source: ImageSource, pipeline: ViewPipeline) -> None:
        """Store both; no image is read yet."""
        self.source, self.pipeline = source, pipeline

    def __len__(self) -> int:
        """Number of images of the source."""
        return len(self.source)

    def __getitems__(self, samples: list[Sample]) -> UnfinishedViews:
        """Cut the views of a list of (epoch, index) as one batch."""
        return self.pipeline.cut(self.source, samples)


def identity_collate(batch: Any) -> Any:
    """Return the batch unchanged: a `collate_fn` for data sets that return whole batches; workers can pickle it."""
    return batch


class _OneImage:
    """A source of one image without a label or ground truth."""

    labels: Tensor | None = None

    def __init__(self, image: UInt8[Tensor, "channels height width"]) -> None:
        self.image = image

    def __len__(self) -> int:
        return 1

    def images(self, indices: Sequence[int]) -> list[Tensor]:
        return [self.image for _ in indices]

    def truth(self, index: Tensor, boxes: Tensor) -> None:
        return None


def _evaluation_pixels(image: Tensor, preset: ViewPreset) -> Tensor:
    size, short = preset.evaluation_size, preset.evaluation_resize
    pixels = image[None].float().mul_(1 / 255)
    if short is None:
        return interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    if preset.evaluation_like != "torchvision":
        return _centre_first(pixels[0], size, size / short, preset.evaluation_like)[None]
    height, width = image.shape[-2:]
    scale = short / min(height, width)
    target = (short, max(short, int(width * scale))) if height <= width else (max(short, int(height * scale)), short)
    resized = interpolate(pixels, target, mode="bilinear", antialias=True)
    top, left = (round((side - size) / 2) for side in target)
    return resized[..., top : top + size, left : left + size]


def _centre_first(pixels: Tensor, size: int, share: float, like: EvaluationLike) -> Tensor:
    """Crop a central square whose side is this share of the short side, and resize it."""
    height, width = pixels.shape[-2:]
    side = max(1, round(share * min(height, width)) if like == "simclr" else int(share * min(height, width)))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return resized_aliased(pixels[:, top : top + side, left : left + side], size).clamp_(0, 1)


def _with_channels(image: Tensor, channels: int) -> Tensor:
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UotaError(
            f"an image is {image.dtype} {tuple(image.shape)}; it must be a uint8 tensor (1 or 3, height, width), as "
            "uota.data.open_source gives it"
        )
    if image.shape[0] == channels:
        return image
    if channels == 3:
        return image.expand(3, -1, -1)
    return torch.tensordot(torch.tensor(GREY), image.float(), 1)[None].round_().to(torch.uint8)
