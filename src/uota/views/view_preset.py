"""The fields of a view preset: view sizes with their augmentations, and the statistics that normalise pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import ceil
from typing import Any, Literal, get_args

from uota.errors import UotaError
from uota.settings.ranges import RATE, SHARE, Range, check_number

# Names of the view sizes of a preset, the largest views first.
SIZE_NAMES = ("global", "local")

# Fields in [0, 1] with one value for all views of a size.
PROBABILITIES = ("flip_probability", "jitter_probability", "grey_probability", "solarise_threshold")
MAGNITUDES = 10  # largest magnitude of timm's RandAugment

PerView = float | tuple[float, ...]  # one value for all views of a size, or one per view
# The implementation that an operation follows, for those whose published code differs in more than its parameters.
Interpolation = Literal["bilinear", "bicubic", "bicubic_aliased"]
ALIASED: Interpolation = "bicubic_aliased"
CropLike = Literal["torchvision", "simclr", "byol"]
ColourLike = Literal["torchvision", "simclr", "byol"]
BlurLike = Literal["torchvision", "pillow", "tensorflow"]
EvaluationLike = Literal["torchvision", "simclr", "byol"]
CHOICES = {
    "interpolation": Interpolation,
    "crop_like": CropLike,
    "colour_like": ColourLike,
    "blur_like": BlurLike,
}
# Operations on a crop, in the order that most papers apply them.
ORDER = ("jitter", "grey", "blur", "solarise", "rand_augment")


@dataclass(frozen=True)
class ViewSizePreset:
    """The number of views of one size, and the augmentations that make them.

    Probabilities are in [0, 1]; `scale` is the crop's share of the image's area and `ratio` its width / height;
    colour strengths s are torchvision's (a factor in [max(0, 1 - s), 1 + s], hue in turns [-s, s]); blur sigmas are in
    pixels of the view; the solarise threshold is a grey level in [0, 1]. `blur_probability` and
    `solarise_probability` may be a tuple with one value per view (BYOL's two views differ).

    With a `grid`, the views are the grid × grid cells of a single crop, row by row, and neighbours share `overlap` of
    their side (CPC). `rand_augment` is RandAugment's number of operations and their magnitude on timm's scale from 0 to
    10 (InfoMin). `order` is the order of operations on a crop.

    Choices of implementation:
        interpolation: "bilinear" and "bicubic" are antialiased, as in Pillow; "bicubic_aliased" is TensorFlow's.
        crop_like: "torchvision" draws an area and an aspect ratio until a box fits; "byol" draws once and clips the
            box to the image; "simclr" draws an aspect ratio and a height (TensorFlow's sample_distorted_bounding_box).
        colour_like: "torchvision"; "simclr" scales contrast around each channel's mean, and saturation in HSV; "byol"
            also adds brightness - 1 instead of multiplying by brightness.
        blur_like: "torchvision" has a Gaussian kernel of a tenth of the view, with reflected borders; "tensorflow" the
            same with black borders; "pillow" makes three box blurs of the same variance, with repeated borders.
    """

    count: int
    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    jitter_probability: float = 0.8
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey_probability: float = 0.0
    blur_probability: PerView = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarise_probability: PerView = 0.0
    solarise_threshold: float = 0.5
    grid: int = 0
    overlap: float = 0.5
    rand_augment: tuple[int, int] | None = None
    order: tuple[str, ...] = ORDER
    interpolation: Interpolation = "bilinear"
    crop_like: CropLike = "torchvision"
    colour_like: ColourLike = "torchvision"
    blur_like: BlurLike = "torchvision"

    def __post_init__(self) -> None:
        """Require fields from which views can be drawn."""
        if self.count < 1 or self.size < 1:
            raise UotaError(f"views have count and size {self.count} and {self.size}; set both to at least 1")
        for name in ("scale", "ratio", "blur_sigma"):
            low, high = _numbers(name, getattr(self, name), Range(0, above=True), 2)
            if low > high:
                raise UotaError(f"{name} is {(low, high)}; it must be two positive numbers, the smaller first")
        for name in PROBABILITIES:
            check_number(name, getattr(self, name), SHARE)
        for name in ("brightness", "contrast", "saturation"):
            check_number(name, getattr(self, name), RATE)
        for name in ("blur_probability", "solarise_probability"):
            _numbers(name, _per_view(getattr(self, name), self.count, name), SHARE, self.count)
        if self.rand_augment is not None:
            _numbers("rand_augment", self.rand_augment, Range(0, MAGNITUDES, whole=True), 2)
        for name, choices in CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        if not isinstance(self.order, tuple) or sorted(map(str, self.order)) != sorted(ORDER):
            raise UotaError(f"order is {self.order!r}; it must name each of {', '.join(ORDER)} once")
        if self.grid and self.count != self.grid**2:
            raise UotaError(
                f"a grid of {self.grid} has {self.grid**2} views, not {self.count}; set count to that number"
            )
        if not 0 <= self.overlap < 1:
            raise UotaError(f"overlap is {self.overlap}; it is a share of a cell's side and must be in [0, 1)")
        if not 0 <= self.hue <= 0.5:
            raise UotaError(f"hue is {self.hue}; it is in turns and must be in [0, 0.5]")

    @property
    def blur_probabilities(self) -> tuple[float, ...]:
        """The probability of a blur, one value per view."""
        return _per_view(self.blur_probability, self.count, "blur_probability")

    @property
    def solarise_probabilities(self) -> tuple[float, ...]:
        """The probability of solarisation, one value per view."""
        return _per_view(self.solarise_probability, self.count, "solarise_probability")

    @property
    def blur_kernel(self) -> int:
        """The odd width in pixels of a blur kernel of a tenth of the view (23 at 224); Pillow's depends on sigma."""
        return 2 * int(self.size * 0.05) + 1

    def image_side(self, share: float) -> int:
        """The least short side of an image, in pixels, whose crops of this share have as many pixels as their views."""
        cells = 1 + (self.grid - 1) * (1 - self.overlap) if self.grid else 1  # side of a crop, in sides of a view
        return ceil(self.size * cells / share**0.5)

    def times(self, count: int) -> "ViewSizePreset":
        """Return the same preset with `count` views; values per view are repeated in order."""
        blur = tuple(self.blur_probabilities[view % self.count] for view in range(count))
        solarise = tuple(self.solarise_probabilities[view % self.count] for view in range(count))
        return replace(self, count=count, blur_probability=blur, solarise_probability=solarise)


@dataclass(frozen=True)
class ViewPreset:
    """The view sizes of an image, the statistics that normalise views, and the size of images in evaluation.

    Attributes:
        name: name of the preset.
        sizes: the view sizes, global views first.
        mean: mean of each channel, subtracted from pixels in [0, 1].
        std: standard deviation of each channel.
        evaluation_size: side of the square image that an encoder is evaluated on.
        evaluation_resize: short side before the centre crop of `evaluation_size`; None: the whole image is resized to
            that square without a crop (for small images).
        across_images: whether the views of an item show several images of one thing (`uota.data.Groups`) instead of
            being crops of one image.
        evaluation_like: implementation of the evaluation crop; "simclr" and "byol" crop the centre first, then resize
            it with TensorFlow's bicubic interpolation.
    """

    name: str
    sizes: tuple[ViewSizePreset, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    evaluation_size: int
    evaluation_resize: int | None = None
    across_images: bool = False
    evaluation_like: EvaluationLike = "torchvision"

    def __post_init__(self) -> None:
        """Require at least one view size, and statistics of 1 or 3 channels."""
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.std):
            raise UotaError(
                f"mean and std of a preset have {len(self.mean)} and {len(self.std)} values; give "
                "one value per channel, 1 (grey) or 3 (RGB)"
            )
        _check_choice("evaluation_like", self.evaluation_like, EvaluationLike)
        if not self.sizes:
            raise UotaError(f"preset {self.name!r} has no views left; keep at least one view size")

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for RGB."""
        return len(self.mean)

    @property
    def views(self) -> int:
        """Number of views of one image, over all sizes."""
        return sum(view_size.count for view_size in self.sizes)

    @property
    def global_views(self) -> int:
        """Number of views of the first size."""
        return self.sizes[0].count

    @property
    def size_name_of_view(self) -> list[str]:
        """The name of each view's size."""
        return [name for name, view_size in zip(SIZE_NAMES, self.sizes, strict=False) for _ in range(view_size.count)]

    def with_options(self, options: dict[str, dict[str, Any]]) -> "ViewPreset":
        """Return the preset with some fields of its view sizes changed, e.g. {"local": {"scale": (0.1, 0.3)}}."""
        names = SIZE_NAMES[: len(self.sizes)]
        known = {field.name for field in fields(ViewSizePreset)} - {"count", "size", "grid"}
        if strange := set(options) - set(names):
            raise UotaError(f"preset {self.name!r} has no {min(strange)!r} views to change; use {' or '.join(names)}")
        try:
            if unknown := {field for changed in options.values() for field in changed} - known:
                raise UotaError(f"views have no {min(unknown)!r} to change; choose from {', '.join(sorted(known))}")
            sizes = [
                replace(view_size, **{field: _as_tuple(value) for field, value in options.get(name, {}).items()})
                for name, view_size in zip(names, self.sizes, strict=True)
            ]
        except (TypeError, ValueError) as error:
            raise UotaError(f"views cannot be changed by {options}: {error}; write values as the presets do") from error
        return replace(self, sizes=tuple(sizes))

    def with_local_views(self, count: int) -> "ViewPreset":
        """Return the preset with `count` local views (0: global views only)."""
        if count < 0:
            raise UotaError(f"the number of local views is {count}; set it to 0 or more")
        if count and len(self.sizes) < 2:
            raise UotaError(f"preset {self.name!r} has no local views to change; choose one that has, such as 'swav'")
        return self.with_counts([self.global_views] + ([count] if len(self.sizes) > 1 else []))

    def with_sizes(self, sides: Sequence[int]) -> "ViewPreset":
        """Return the preset with views of other sides, in pixels; images to evaluate change in proportion.

        Args:
            sides: of the global views, and of the local ones; without the latter these change in proportion.
        """
        if len(sides) > len(self.sizes):
            raise UotaError(f"preset {self.name!r} has no local views; give one size, not {list(sides)}")
        ratio = sides[0] / self.sizes[0].size
        others = [round(view_size.size * ratio) for view_size in self.sizes[len(sides) :]]
        sizes = zip(self.sizes, [*sides, *others], strict=True)
        resize = self.evaluation_resize
        return replace(
            self,
            sizes=tuple(replace(view_size, size=side) for view_size, side in sizes),
            evaluation_size=round(self.evaluation_size * ratio),
            evaluation_resize=None if resize is None else round(resize * ratio),
        )

    def with_candidates(self, times: int) -> "ViewPreset":
        """Return the preset with `times` as many views to choose from; a grid's cells must all be used, so it has 1."""
        if times > 1 and any(view_size.grid for view_size in self.sizes):
            raise UotaError(f"the views of preset {self.name!r} are cells of one crop; set candidates to 1")
        return self.with_counts([times * view_size.count for view_size in self.sizes])

    def with_counts(self, counts: Sequence[int]) -> "ViewPreset":
        """Return the preset with these numbers of views per size; sizes with 0 views are left out."""
        if len(counts) != len(self.sizes):
            raise UotaError(
                f"preset {self.name!r} has {len(self.sizes)} view sizes, not {len(counts)}; give one count each"
            )
        pairs = zip(self.sizes, counts, strict=True)
        return replace(self, sizes=tuple(view_size.times(count) for view_size, count in pairs if count))


def _per_view(value: PerView, count: int, name: str) -> tuple[float, ...]:
    values = value if isinstance(value, tuple) else (value,) * count
    if len(values) != count:
        raise UotaError(f"{name} has {len(values)} values for {count} views; give one, or one per view")
    return values


def _numbers(name: str, values: Any, allowed: Range, count: int) -> tuple[Any, ...]:
    """Require a tuple of `count` numbers, each within a range."""
    if not isinstance(values, tuple) or len(values) != count:
        raise UotaError(f"{name} is {values!r}; it must be {count} numbers, such as {[allowed.low, allowed.low + 1]}")
    for value in values:
        check_number(name, value, allowed)
    return values


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        raise UotaError(f"{name} is {value!r}; it must be one of {', '.join(get_args(choices))}")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
