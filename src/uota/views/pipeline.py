"""From images of a source to views that know how they were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from uota.errors import UotaError
from uota.views.crops import are_small, crop_any, crop_small, resized_aliased
from uota.views.parameters import ViewParameters, column, sample_uniforms, view_parameters
from uota.views.photometric import GREY, normalise, photometric
from uota.views.presets import EvaluationLike, ViewPreset

Sample = tuple[int, int]  # (epoch, index)


@runtime_checkable
class ImageSource(Protocol):
    """What a view pipeline asks of a source of images (`uota.data.Source` has more).

    Attributes:
        labels: (len,), or None where nobody labelled the images.
    """

    labels: Int64[Tensor, " len"] | None

    def __len__(self) -> int:
        """Number of images."""
        ...

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _h _w"]]:
        """These images, decoded, with 1 or 3 channels."""
        ...

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """Which crops are outliers, where that is known."""
        ...


@runtime_checkable
class GroupedSource(ImageSource, Protocol):
    """A source whose items are several images each (`uota.data.Groups`).

    Attributes:
        members: indices of each item's images.
    """

    members: Sequence[Sequence[int]]


@dataclass
class Views:
    """The views of a batch of images and what was done to each.

    Attributes:
        by_size: one tensor per size, global first: (views of that size, batch, channels, h, w), normalised.
        parameters: what was done to each view, every field (views, batch), in the order of the groups.
        index: (batch,), each image's index in its source; of a grouped source, each item's.
        wrong: (views, batch), True for an outlier by the known truth (injected, or the source says so); None: unknown.
        labels: (batch,), of the images asked for; None: nobody labelled them.
    """

    by_size: list[Float[Tensor, "_views batch channels _h _w"]]
    parameters: ViewParameters
    index: Int64[Tensor, " batch"]
    wrong: Bool[Tensor, "views batch"] | None
    labels: Int64[Tensor, " batch"] | None = None

    @property
    def views(self) -> int:
        """Number of views of each image."""
        return sum(len(group) for group in self.by_size)

    @property
    def batch(self) -> int:
        """Number of images."""
        return len(self.index)

    def kept(self, chosen: Int64[Tensor, "kept batch"], groups: list[Tensor]) -> "Views":
        """Some of the views: `groups` holds them, and `chosen` says which of all views each was."""
        rows = (chosen, torch.arange(self.batch, device=chosen.device))
        wrong = None if self.wrong is None else self.wrong[rows]
        return Views(groups, self.parameters[rows], self.index, wrong, self.labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Views":
        """All tensors on `device`."""
        return Views(
            [group.to(device, non_blocking=non_blocking) for group in self.by_size],
            self.parameters.to(device, non_blocking),
            self.index.to(device, non_blocking=non_blocking),
            None if self.wrong is None else self.wrong.to(device, non_blocking=non_blocking),
            None if self.labels is None else self.labels.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "Views":
        """All tensors in page-locked memory; torch's DataLoader calls this."""
        return Views(
            [group.pin_memory() for group in self.by_size],
            self.parameters.pin_memory(),
            self.index.pin_memory(),
            None if self.wrong is None else self.wrong.pin_memory(),
            None if self.labels is None else self.labels.pin_memory(),
        )


@dataclass(frozen=True)
class ViewPipeline:
    """Makes the views of a preset; all randomness is a function of (seed, epoch, index).

    Args:
        preset: what is done, e.g. `PRESETS["swav"]`.
        seed: of all randomness, 0 to 2^64 - 1.
        inject: share of views, in [0, 1], taken from another image than asked for (global ones too).
        inject_from: that other image: "strangers", any other image of the source, or "batch", another of the batch.

    >>> import torch
    >>> from uota.views import PRESETS, ViewPipeline
    >>> views = ViewPipeline(PRESETS["small-grey"], seed=0).of_image(torch.zeros(1, 28, 28, dtype=torch.uint8))
    >>> [tuple(group.shape) for group in views.by_size]
    [(2, 1, 1, 24, 24), (4, 1, 1, 16, 16)]
    """

    preset: ViewPreset
    seed: int = 0
    inject: float = 0.0
    inject_from: Literal["strangers", "batch"] = "strangers"

    def __post_init__(self) -> None:
        """Refuse a share or a place that cannot be."""
        if not 0 <= self.inject <= 1:
            raise UotaError(f"inject={self.inject} is a share of views and must lie between 0 and 1.")
        if self.inject_from not in ("strangers", "batch"):
            raise UotaError(f"inject_from={self.inject_from!r} must be 'strangers' or 'batch'.")

    def __call__(self, source: ImageSource, samples: Sequence[Sample]) -> Views:
        """Make the views of each (epoch, index)."""
        if not samples:
            raise UotaError("A batch of views needs at least one sample: the list of (epoch, index) is empty.")
        uniforms = sample_uniforms(self.seed, samples, self.preset.views)
        asked = np.array([index for _, index in samples], dtype=np.int64)
        items, injected = self._injected(uniforms, asked, len(source))
        shown = _drawn(source.members, items, injected, uniforms) if isinstance(source, GroupedSource) else items
        wanted, which = np.unique(shown, return_inverse=True)
        images = [_with_channels(image, self.preset.channels) for image in source.images(wanted.tolist())]
        which = which.reshape(shown.shape)
        height, width = (np.array([image.shape[axis] for image in images])[which] for axis in (-2, -1))
        parameters = view_parameters(self.preset, uniforms, torch.from_numpy(shown), height, width)
        groups = make_views(images, torch.from_numpy(which), parameters, self.preset)
        index = torch.from_numpy(asked)
        wrong = source.truth(index, parameters.box)
        if self.inject:
            known = torch.from_numpy(injected)
            wrong = known if wrong is None else wrong | known
        labels = None if source.labels is None else source.labels[index]
        return Views(groups, parameters, index, wrong, labels)

    def of_image(self, image: UInt8[Tensor, "channels height width"], epoch: int = 0, index: int = 0) -> Views:
        """The views of one image, a batch of 1; another `epoch` or `index` gives other views."""
        return self(_OneImage(image), [(epoch, index)])

    def _injected(self, uniforms: ndarray, asked: ndarray, total: int) -> tuple[ndarray, ndarray]:
        """Which item each view shows (views, batch), and whether that is another than asked for."""
        shown = np.broadcast_to(asked, uniforms.shape[:2]).copy()
        injected = column(uniforms, "injected") < self.inject
        pool = total if self.inject_from == "strangers" else len(asked)
        if self.inject and pool < 2:
            raise UotaError("Views of other images need at least two images: give more, or set inject to 0.")
        if not injected.any():
            return shown, injected
        steps = 1 + np.floor(column(uniforms, "stranger") * (pool - 1)).astype(np.int64)
        places = (shown if self.inject_from == "strangers" else np.arange(pool)) + steps
        other = places % pool if self.inject_from == "strangers" else asked[places % pool]
        return np.where(injected, other, shown), injected


def _drawn(members: Sequence[Sequence[int]], items: ndarray, injected: ndarray, uniforms: ndarray) -> ndarray:
    """Which image of its item each view shows (views, batch).

    Without replacement; where an item has fewer images than views, all of them once before any for another time.
    """
    # Which other item is injected is read off the first digits of this uniform, which image of an item off later ones.
    uniform = column(uniforms, "stranger") * 2**20 % 1
    drawn = np.empty_like(items)
    for views, column_of_items, strange, place in zip(drawn.T, items.T, injected.T, uniform.T, strict=True):
        left: list[int] = []
        for view, item in enumerate(column_of_items):
            if strange[view]:
                views[view] = members[item][int(place[view] * len(members[item]))]
                continue
            left = left or list(members[item])
            views[view] = left.pop(int(place[view] * len(left)))
    return drawn


def make_views(
    images: Sequence[UInt8[Tensor, "channels _h _w"]],
    which: Int64[Tensor, "views batch"],
    parameters: ViewParameters,
    preset: ViewPreset,
) -> list[Float[Tensor, "_views batch channels _h _w"]]:
    """Do to `images[which[v, b]]` what the parameters say; one normalised tensor per group of the preset."""
    small = are_small(images)
    stack = torch.stack(list(images)).float().mul_(1 / 255) if small else torch.empty(0)
    groups, start = [], 0
    for group in preset.sizes:
        views = slice(start, start + group.count)
        part = parameters[views]
        cut = which[views], part.box, part.flip, group.size, group.interpolation
        crops = crop_small(stack, *cut) if small else crop_any(images, *cut)
        made = photometric(crops, part, group, preset.mean, preset.std)
        groups.append(made.unflatten(0, (group.count, -1)))
        start += group.count
    return groups


def evaluation_view(
    images: Sequence[UInt8[Tensor, "_channels _h _w"]], preset: ViewPreset
) -> Float[Tensor, "batch channels size size"]:
    """The images as an encoder is evaluated on them: resized with antialiasing, cut to the centre, normalised.

    Presets for small images (no `evaluation_resize`) resize the whole image to the square, without a crop.
    """
    if not images:
        raise UotaError("There are no images to evaluate: the list is empty.")
    out = torch.cat([_evaluation_pixels(_with_channels(image, preset.channels), preset) for image in images])
    return normalise(out, preset.mean, preset.std)


class ViewDataset(Dataset[Views]):
    """A source and a pipeline for torch's DataLoader: whole batches are made at once.

    Use it with a `batch_sampler` that yields lists of (epoch, index), and `collate_fn=identity_collate`.
    """

    def __init__(self, source: ImageSource, pipeline: ViewPipeline) -> None:
        """Keep both; nothing is read yet."""
        self.source, self.pipeline = source, pipeline

    def __len__(self) -> int:
        """Number of images of the source."""
        return len(self.source)

    def __getitem__(self, sample: Sample) -> Views:
        """The views of one (epoch, index), a batch of 1."""
        return self.pipeline(self.source, [sample])

    def __getitems__(self, samples: list[Sample]) -> Views:
        """The views of a list of (epoch, index), one batch."""
        return self.pipeline(self.source, samples)


def identity_collate(batch: Any) -> Any:
    """A `collate_fn` that leaves alone what is a batch already; a function of a module, so that workers find it."""
    return batch


class _OneImage:
    """A source of one image of which nothing is known."""

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
    """Crop a central square of this share of the short side, and resize it."""
    height, width = pixels.shape[-2:]
    side = max(1, round(share * min(height, width)) if like == "simclr" else int(share * min(height, width)))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return resized_aliased(pixels[:, top : top + side, left : left + side], size).clamp_(0, 1)


def _with_channels(image: Tensor, channels: int) -> Tensor:
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UotaError(
            f"An image must be a uint8 tensor (1 or 3, height, width), not {image.dtype} {tuple(image.shape)}:"
            " decode it with uota.data.open_source."
        )
    if image.shape[0] == channels:
        return image
    if channels == 3:
        return image.expand(3, -1, -1)
    return torch.tensordot(torch.tensor(GREY), image.float(), 1)[None].round_().to(torch.uint8)
