"""View presets as data: the augmentations of each paper's released code, by name.

A preset lists view sizes (the global views first) and the statistics that normalise pixels.
`docs/published/views-*.yaml` gives the source of each published value.
"""

from dataclasses import replace

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.views.view_preset import ALIASED, BlurLike, ViewPreset, ViewSizePreset

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SWAV_STD = (0.228, 0.224, 0.225)  # used by SwAV's and UOTA's code in pretraining and evaluation
FASHION_MEAN, FASHION_STD = (0.286,), (0.353,)


def find_preset(name: str) -> ViewPreset:
    """Look up a preset of `PRESETS`.

    Raises:
        UotaError: there is no preset of this name.
    """
    if name not in PRESETS:
        raise UotaError(f"there is no view preset {name!r}; choose auto, groups or one of {', '.join(sorted(PRESETS))}")
    return PRESETS[name]


def _imagenet(name: str, *sizes: ViewSizePreset) -> ViewPreset:
    return ViewPreset(name, sizes, IMAGENET_MEAN, IMAGENET_STD, evaluation_size=224, evaluation_resize=256)


def _strong(count: int, size: int, scale: tuple[float, float], blur_like: BlurLike) -> ViewSizePreset:
    """Views with SimCLR's colour strength, which SwAV adopted."""
    return ViewSizePreset(
        count,
        size,
        scale,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        grey_probability=0.2,
        blur_probability=0.5,
        blur_like=blur_like,
    )


def _small(count: int, size: int, scale: tuple[float, float]) -> ViewSizePreset:
    return ViewSizePreset(
        count, size, scale, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey_probability=0.2
    )


def _plain_grey(count: int, size: int, scale: tuple[float, float]) -> ViewSizePreset:
    return ViewSizePreset(count, size, scale, jitter_probability=1.0, brightness=0.4, contrast=0.4)


def _grey(name: str, *sizes: ViewSizePreset) -> ViewPreset:
    return ViewPreset(name, sizes, FASHION_MEAN, FASHION_STD, evaluation_size=sizes[0].size)


def _mild(count: int, size: int) -> ViewSizePreset:
    """Views of most of an image with little jitter: images of one thing differ enough, and colour may identify it."""
    return ViewSizePreset(count, size, (0.6, 1.0), brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)


def _across(
    name: str, large: int, small: int, evaluation_resize: int | None = None, small_views: int = 4
) -> ViewPreset:
    """Two large views and some small ones, each of another image of the group."""
    sizes = _mild(2, large), _mild(small_views, small)
    return ViewPreset(name, sizes, IMAGENET_MEAN, IMAGENET_STD, large, evaluation_resize, across_images=True)


_MOCO_V1 = ViewSizePreset(
    2,
    224,
    (0.2, 1.0),
    jitter_probability=1.0,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.4,
    grey_probability=0.2,
    order=("grey", "jitter", "blur", "solarise", "rand_augment"),
)
_MOCO_V2 = ViewSizePreset(
    2,
    224,
    (0.2, 1.0),
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey_probability=0.2,
    blur_probability=0.5,
    blur_like="pillow",
)
_BARLOW = ViewSizePreset(
    2,
    224,
    (0.08, 1.0),
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
    grey_probability=0.2,
    blur_probability=(1.0, 0.1),
    solarise_probability=(0.0, 0.2),
    interpolation="bicubic",
    blur_like="pillow",
)
_BYOL = replace(_BARLOW, interpolation=ALIASED, crop_like="byol", colour_like="byol", blur_like="tensorflow")
_SIMCLR = replace(
    _strong(2, 224, (0.08, 1.0), "tensorflow"), interpolation=ALIASED, crop_like="simclr", colour_like="simclr"
)
_CMC = ViewSizePreset(1, 224, (0.08, 1.0), jitter_probability=0.0)  # no jitter: CMC contrasts colour with lightness
_INFOMIN = replace(
    _strong(2, 224, (0.2, 1.0), "torchvision"),
    rand_augment=(2, 10),
    order=("jitter", "blur", "rand_augment", "grey", "solarise"),
)
# 6 × 6 cells of 80 pixels, 36 apart, in a crop of 260 pixels from 300. The paper also shears and posterises cells.
_CPC = ViewSizePreset(
    36,
    80,
    (0.75, 1.0),
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey_probability=0.25,
    grid=6,
    overlap=0.55,
)
_SMALL_CPC = ViewSizePreset(16, 12, (0.6, 1.0), brightness=0.4, contrast=0.4, grid=4)
_SUPERVISED = ViewSizePreset(1, 224, (0.08, 1.0), jitter_probability=0.0)

PRESETS: dict[str, ViewPreset] = {
    preset.name: preset
    for preset in (
        replace(
            _imagenet("swav", _strong(2, 224, (0.14, 1.0), "pillow"), _strong(6, 96, (0.05, 0.14), "pillow")),
            std=SWAV_STD,
        ),
        # SimCLR's encoder takes pixels in [0, 1]
        replace(_imagenet("simclr", _SIMCLR), mean=(0.0,) * 3, std=(1.0,) * 3, evaluation_like="simclr"),
        _imagenet("mocov1", _MOCO_V1),
        _imagenet("mocov2", _MOCO_V2),
        replace(_imagenet("byol", _BYOL), evaluation_like="byol"),
        _imagenet("barlow", _BARLOW),
        _imagenet("simsiam", _MOCO_V2),
        _imagenet("jcl", replace(_MOCO_V2, count=5)),  # one query and four keys
        _imagenet(
            "infomin", _INFOMIN, ViewSizePreset(1, 255, (0.6, 1.0), jitter_probability=0.0)
        ),  # the second size is cut into a jigsaw
        _imagenet("cmc", _CMC),
        ViewPreset("cpc", (_CPC,), IMAGENET_MEAN, IMAGENET_STD, evaluation_size=260, evaluation_resize=300),
        ViewPreset("small-cpc", (_SMALL_CPC,), IMAGENET_MEAN, IMAGENET_STD, evaluation_size=30),
        ViewPreset("small-grey-cpc", (_SMALL_CPC,), FASHION_MEAN, FASHION_STD, evaluation_size=30),
        _imagenet("supervised", _SUPERVISED),
        ViewPreset(
            "small",
            (_small(2, 32, (0.3, 1.0)), _small(4, 20, (0.08, 0.3))),
            IMAGENET_MEAN,
            IMAGENET_STD,
            evaluation_size=32,
        ),
        # Of pictures on a CPU: an EfficientNet-Lite0 trains on about 100 views of 96 pixels per second and core.
        ViewPreset(
            "medium",
            (_small(2, 96, (0.3, 1.0)), _small(2, 64, (0.08, 0.3))),
            IMAGENET_MEAN,
            IMAGENET_STD,
            evaluation_size=96,
        ),
        # For given weights, which small crops, or views of 64 pixels, made worse. There are three views, as of two
        # nothing tells which is wrong.
        ViewPreset(
            "medium-wide",
            (_small(2, 96, (0.3, 1.0)), _small(1, 96, (0.3, 1.0))),
            IMAGENET_MEAN,
            IMAGENET_STD,
            evaluation_size=96,
        ),
        ViewPreset(
            "scenes-colour",
            (_plain_grey(2, 24, (0.3, 1.0)), _plain_grey(4, 16, (0.05, 0.3))),
            IMAGENET_MEAN,
            IMAGENET_STD,
            evaluation_size=24,
        ),
        _across("large-groups", 224, 96, evaluation_resize=256),
        _across("medium-groups", 96, 64, small_views=1),
        _across("small-groups", 32, 20),
        replace(_across("small-grey-groups", 24, 16), mean=FASHION_MEAN, std=FASHION_STD),
        _grey("small-grey", _plain_grey(2, 24, (0.5, 1.0)), _plain_grey(4, 16, (0.15, 0.5))),
        _grey("scenes", _plain_grey(2, 24, (0.3, 1.0)), _plain_grey(4, 16, (0.05, 0.3))),
    )
}


# Value of the setting `views` that selects a preset whose views show several images of a group.
GROUPS = "groups"


def preset_of(settings: Pretrain) -> ViewPreset:
    """Return the view preset of settings whose `auto` values are resolved."""
    views = settings.views
    preset = find_preset(views.preset)
    if views.local_views is not None:
        preset = preset.with_local_views(views.local_views)
    if views.sides:
        preset = preset.with_sizes(views.sides)
    if views.mean is not None and views.std is not None:
        preset = replace(preset, mean=tuple(views.mean), std=tuple(views.std))
    return preset.with_options(views.options)
