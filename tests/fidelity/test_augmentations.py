"""Each published preset compared with a reference implementation of the augmentation in the released code.

Parameters are compared with the published distribution, drawn by torchvision's `make_params` or by a plain loop.
Given our parameters, the pixels of a view are compared with Pillow (8 bits after every step, as in PyTorch code),
more strictly with the same steps without rounding of colours, or with TensorFlow's arithmetic in float64 NumPy
(SimCLR, BYOL).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageFilter, ImageOps
from scipy.ndimage import correlate1d
from scipy.stats import binomtest, chisquare, ks_2samp, kstest
from timm.data.auto_augment import rand_augment_transform
from torchvision.transforms import functional as F
from torchvision.transforms import v2

from uota.views import PRESETS, ViewPipeline, evaluation_view, rand_augment
from uota.views.parameters import sample_uniforms, view_parameters
from uota.views.rand_augment import rand_augment_

LIKELY = 1e-4  # the smallest accepted p-value; draws are seeded, so that results are reproducible
DRAWS = 1500
HEIGHT, WIDTH = 375, 500
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class Published:
    """The augmentation of one view in the code of a paper."""

    scale: tuple[float, float]
    steps: str
    size: int = 224
    strengths: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter: float = 0.8
    grey: float = 0.2
    blur: float = 0.5
    solarise: float = 0.0
    bicubic: bool = False
    like: str = "pillow"
    kernel: int = 0  # 0: Pillow's blur
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


# facebookresearch/swav and ssl-codelab/uota: src/multicropdataset.py
SWAV = Published((0.14, 1.0), "crop flip jitter grey blur", strengths=(0.8, 0.8, 0.8, 0.2), std=(0.228, 0.224, 0.225))
# google-research/simclr: tf2/data_util.py
SIMCLR = Published(
    (0.08, 1.0),
    "crop flip jitter grey blur",
    strengths=(0.8, 0.8, 0.8, 0.2),
    like="simclr",
    mean=(0.0,) * 3,
    std=(1.0,) * 3,
)
# facebookresearch/moco: main_moco.py
MOCO_V1 = Published((0.2, 1.0), "crop grey jitter flip", strengths=(0.4,) * 4, jitter=1.0, blur=0.0)
MOCO_V2 = Published((0.2, 1.0), "crop jitter grey blur flip", strengths=(0.4, 0.4, 0.4, 0.1))
# facebookresearch/barlowtwins: main.py
BARLOW = Published(
    (0.08, 1.0), "crop flip jitter grey blur solarise", strengths=(0.4, 0.4, 0.2, 0.1), blur=1.0, bicubic=True
)
BARLOW_PRIME = replace(BARLOW, blur=0.1, solarise=0.2)
# google-deepmind/deepmind-research: byol/utils/augmentations.py and dataset.py
BYOL, BYOL_PRIME = replace(BARLOW, like="byol"), replace(BARLOW_PRIME, like="byol")
# HobbitLong/PyContrast: pycontrast/datasets/util.py, augmentation D
INFOMIN = Published((0.2, 1.0), "crop flip jitter blur rand grey", strengths=(0.8, 0.8, 0.8, 0.2), kernel=23)
PLAIN = Published((0.08, 1.0), "crop flip", jitter=0.0, grey=0.0, blur=0.0)

PUBLISHED: dict[str, list[Published]] = {
    "swav": [SWAV] * 2 + [replace(SWAV, scale=(0.05, 0.14), size=96)] * 6,
    "simclr": [SIMCLR] * 2,
    "mocov1": [MOCO_V1] * 2,
    "mocov2": [MOCO_V2] * 2,
    "simsiam": [MOCO_V2] * 2,  # facebookresearch/simsiam: main_simsiam.py
    "jcl": [MOCO_V2] * 5,  # caiqi/Joint-Contrastive-Learning: main_moco.py, --k_crops 5
    "byol": [BYOL, BYOL_PRIME],
    "barlow": [BARLOW, BARLOW_PRIME],
    "infomin": [INFOMIN] * 2 + [replace(PLAIN, scale=(0.6, 1.0), size=255)],  # the third for jigsaws: datasets/util.py
    "cmc": [PLAIN],  # HobbitLong/CMC: train_CMC.py, --crop_low 0.08
    "supervised": [PLAIN],  # pytorch/examples: imagenet/main.py
}


# docs/published


ROWS = [
    (path.stem.removeprefix("views-"), row)
    for path in sorted((Path(__file__).parents[2] / "docs" / "published").glob("views-*.yaml"))
    for row in yaml.safe_load(path.read_text(encoding="utf-8"))
]
READ_ROWS = [(name, row) for name, row in ROWS if "ours" not in row]  # the others state our value


def test_every_published_preset_has_rows():
    assert {name for name, _ in ROWS} == {*PUBLISHED, "cpc"}


@pytest.mark.parametrize(
    ("name", "row"), READ_ROWS, ids=lambda value: value if isinstance(value, str) else value["setting"]
)
def test_presets_are_as_published_unless_a_note_explains_why(name, row):
    preset, (_, *place) = PRESETS[name], row["setting"].split(".")
    owner = preset if len(place) == 1 else preset.sizes[("global", "local").index(place[0])]
    ours = getattr(owner, place[-1])
    assert (list(ours) if isinstance(ours, tuple) else ours) == row["published"] or row.get("note")


# Distributions


def torchvision_box(scale, generator):
    drawn = v2.RandomResizedCrop(224, scale=scale).make_params([torch.empty(3, HEIGHT, WIDTH)])
    return [drawn[name] for name in ("top", "left", "height", "width")]


def byol_box(scale, generator):
    area = generator.uniform(*scale) * HEIGHT * WIDTH
    aspect = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide, high = min(round(np.sqrt(area * aspect)), WIDTH), min(round(np.sqrt(area / aspect)), HEIGHT)
    return [generator.integers(HEIGHT - high + 1), generator.integers(WIDTH - wide + 1), high, wide]


def simclr_box(scale, generator):
    """Draw as TensorFlow's sample_distorted_bounding_box, with the image as the object and min_object_covered 0.1."""
    whole = HEIGHT * WIDTH
    while True:
        aspect = generator.uniform(3 / 4, 4 / 3)
        low, high = (round(np.sqrt(share * whole / aspect)) for share in scale)
        while round(high * aspect) > WIDTH or high > HEIGHT:
            high -= 1
        high = generator.integers(low, high + 1)
        wide = round(high * aspect)
        if 0.1 * whole <= high * wide <= whole:
            top = generator.integers(HEIGHT - high) if high < HEIGHT else 0
            return [top, generator.integers(WIDTH - wide) if wide < WIDTH else 0, high, wide]


BOXES: dict[str, Callable] = {"pillow": torchvision_box, "byol": byol_box, "simclr": simclr_box}


def drawn(preset, draws=DRAWS, size=(HEIGHT, WIDTH), seed=0):
    uniforms = sample_uniforms(seed, [(0, index) for index in range(draws)], preset.views)
    height, width = (np.full((preset.views, draws), side) for side in size)
    return view_parameters(preset, uniforms, torch.arange(draws).expand(preset.views, -1), height, width)


def happens(flags, probability):
    assert binomtest(int(flags.sum()), len(flags), probability).pvalue > LIKELY


@cache
def published_boxes(like, scale):
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    return np.array([BOXES[like](scale, generator) for _ in range(DRAWS)], dtype=float)


@cache
def published_jitter(strengths):
    jitter = v2.ColorJitter(*strengths)
    torch.manual_seed(1)
    return [jitter.make_params([]) for _ in range(DRAWS)]


def check_box(box, view):
    theirs = published_boxes(view.like, view.scale)
    for summary in (*(lambda b, side=side: b[:, side] for side in range(4)), lambda b: b[:, 2] * b[:, 3]):
        assert ks_2samp(summary(box), summary(theirs)).pvalue > LIKELY
    assert ks_2samp(box[:, 3] / box[:, 2], theirs[:, 3] / theirs[:, 2]).pvalue > LIKELY


def check_jitter(p, row, view):
    factors = {name: getattr(p, name)[row].numpy() for name in NAMES}
    jittered = factors["brightness"] != 1
    if not any(view.strengths):
        assert all((factors[name] == (name != "hue")).all() for name in NAMES)
        return
    happens(jittered, view.jitter)
    assert all((factors[name][~jittered] == (name != "hue")).all() for name in NAMES)
    for name in NAMES:
        theirs = [draw[f"{name}_factor"] for draw in published_jitter(view.strengths)]
        assert ks_2samp(factors[name][jittered], theirs).pvalue > LIKELY
    orders = [tuple(order) for order in p.jitter_order[row].numpy()[jittered]]
    assert chisquare([orders.count(order) for order in permutations(range(4))]).pvalue > LIKELY


def check_draws(preset, published):
    p = drawn(preset)
    assert len(published) == preset.views
    for row, view in enumerate(published):
        check_box(p.box[row].double().numpy(), view)
        happens(p.flip[row].numpy(), 0.5)
        check_jitter(p, row, view)
        happens(p.grey[row].numpy(), view.grey)
        sigma = p.blur_sigma[row].double().numpy()
        happens(sigma > 0, view.blur)
        assert not (sigma > 0).any() or kstest(sigma[sigma > 0], "uniform", (0.1, 1.9)).pvalue > LIKELY
        happens(p.solarise[row].numpy(), view.solarise)
        assert (p.rand_augment[row] != 0).all() == ("rand" in view.steps)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_parameter_is_drawn_as_published(name):
    check_draws(PRESETS[name], PUBLISHED[name])


def test_views_are_drawn_independently():
    p = drawn(PRESETS["byol"])
    for name in (*NAMES, "flip", "grey"):
        one, other = getattr(p, name).double().numpy()
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / DRAWS**0.5


# Pixels


def a_picture(height, width, seed=0):
    """Return an image with edges, surfaces and texture."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (3, 5, 6)).astype(np.uint8)
    image = torch.from_numpy(coarse).float()
    image = torch.nn.functional.interpolate(image[None], (height, width), mode="nearest")[0]
    image += 25 * torch.from_numpy(generator.standard_normal((3, height, width)))
    return image.clamp(0, 255).to(torch.uint8)


def one_of(parameters, row, sample):
    names = (*NAMES, "jitter_order", "box", "flip", "grey", "blur_sigma", "solarise", "rand_augment")
    return {name: getattr(parameters, name)[row, sample].tolist() for name in names}


def pillow_view(image, view, made, exact=False):
    """Make a view with torchvision's functions of Pillow images in the published order, from 0 to 255.

    If exact, torchvision's functions of tensors change the colours in float64, where hue has more than 256 levels.
    """
    x = F.to_pil_image(image)
    for step in view.steps.split():
        in_float = exact and (step in ("jitter", "grey") or (step == "blur" and view.kernel > 0))
        x = PILLOW[step](as_tensor(x) if in_float else as_pillow(x), view, made)
    return as_tensor(x).numpy() * 255


def as_tensor(x):
    return F.pil_to_tensor(x).double() / 255 if isinstance(x, Image.Image) else x


def as_pillow(x):
    return x if isinstance(x, Image.Image) else F.to_pil_image((x * 255).round().to(torch.uint8))


def pillow_crop(x, view, made):
    how = F.InterpolationMode.BICUBIC if view.bicubic else F.InterpolationMode.BILINEAR
    return F.resized_crop(x, *(int(side) for side in made["box"]), [view.size] * 2, how)


def pillow_jitter(x, view, made):
    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for code in made["jitter_order"]:
        if made[NAMES[code]] != (code != 3):
            x = adjust[code](x, made[NAMES[code]])
    return x


def pillow_blur(x, view, made):
    if not made["blur_sigma"]:
        return x
    if view.kernel:
        return F.gaussian_blur(x, [view.kernel] * 2, [made["blur_sigma"]] * 2)
    return x.filter(ImageFilter.GaussianBlur(made["blur_sigma"]))


def timm_rand_augment(x, view, made):
    given = {"translate_const": int(224 * 0.45), "img_mean": (124, 116, 104)}
    augment = rand_augment_transform("rand-n2-m10-mstd0.5", given)
    random.seed(made["rand_augment"])
    np.random.seed([made["rand_augment"] % 2**32, made["rand_augment"] >> 32])
    return augment(x)


PILLOW: dict[str, Callable] = {
    "crop": pillow_crop,
    "flip": lambda x, view, made: F.hflip(x) if made["flip"] else x,
    "jitter": pillow_jitter,
    "grey": lambda x, view, made: F.rgb_to_grayscale(x, 3) if made["grey"] else x,
    "blur": pillow_blur,
    "solarise": lambda x, view, made: ImageOps.solarize(x) if made["solarise"] else x,
    "rand": timm_rand_augment,
}


def tensorflow_resize(x, size):
    """Resize bicubically with half-pixel centres, without antialiasing; pixels outside the image have no weight."""
    for axis in (1, 2):
        length = x.shape[axis]
        matrix = np.zeros((size, length))
        for target in range(size):
            centre = (target + 0.5) * length / size - 0.5
            for pixel in range(max(int(np.floor(centre)) - 1, 0), min(int(np.floor(centre)) + 3, length)):
                d = abs(centre - pixel)
                near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
                matrix[target, pixel] = near if d <= 1 else far
        x = np.moveaxis(np.tensordot(matrix / matrix.sum(1, keepdims=True), x, (1, axis)), 0, axis)
    return x.clip(0, 1)


def tensorflow_jitter(x, view, made):
    for code in made["jitter_order"]:
        factor = made[NAMES[code]]
        if factor == (code != 3):
            continue
        if code == 0:
            x = x + factor - 1 if view.like == "byol" else x * factor
        elif code == 1:
            mean = x.mean((1, 2), keepdims=True)
            x = (x - mean) * factor + mean
        else:
            hue, saturation, value = np.moveaxis(rgb_to_hsv(np.moveaxis(x, 0, -1)), -1, 0)
            hue, saturation = ((hue + factor) % 1, saturation) if code == 3 else (hue, (saturation * factor).clip(0, 1))
            x = np.moveaxis(hsv_to_rgb(np.stack((hue, saturation, value), -1)), -1, 0)
        x = x.clip(0, 1)
    return x


def tensorflow_blur(x, sigma):
    """Blur with 23 taps and zero padding."""
    taps = np.exp(-(np.arange(-11, 12) ** 2) / (2 * sigma**2))
    for axis in (1, 2):
        x = correlate1d(x, taps / taps.sum(), axis, mode="constant")
    return x.clip(0, 1)


def tensorflow_view(image, view, made):
    top, left, high, wide = (int(side) for side in made["box"])
    x = tensorflow_resize(image.double().numpy()[:, top : top + high, left : left + wide] / 255, view.size)
    x = x[:, :, ::-1] if made["flip"] else x
    x = tensorflow_jitter(x, view, made)
    if made["grey"]:
        x = np.tile(np.tensordot((0.2989, 0.587, 0.114), x, 1), (3, 1, 1))
    if made["blur_sigma"]:
        x = tensorflow_blur(x, made["blur_sigma"])
    return 255 * (np.where(x < 0.5, x, 1 - x) if made["solarise"] else x)


def differences(preset, published, side, samples=4, exact=True):
    """Yield for each view by how many of 255 levels its pixels differ from the published ones."""
    image = a_picture(*side)
    for sample in range(samples):
        views = ViewPipeline(preset, seed=2).of_image(image, index=sample)
        rows = [view for group in views.by_size for view in group[:, 0].double().numpy()]
        for row, (ours, view) in enumerate(zip(rows, published, strict=True)):
            levels = ours * np.array(view.std)[:, None, None] + np.array(view.mean)[:, None, None]
            made = one_of(views.parameters, row, 0)
            reference = pillow_view(image, view, made, exact) if view.like == "pillow" else None
            yield np.abs(255 * levels - (tensorflow_view(image, view, made) if reference is None else reference))


def check_pixels(preset, published, side):
    """Assert a mean difference below 1 level, and below 3 levels for 95 % of the pixels.

    Crops are rounded to 8 bits, and so are blurred and augmented images of Pillow; strong contrast and posterising
    magnify this.
    """
    for difference in differences(preset, published, side):
        assert difference.mean() < 1.0
        assert np.quantile(difference, 0.95) < 3


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("side", [(225, 340), (70, 70)])
def test_views_equal_the_published_steps(name, side):
    check_pixels(PRESETS[name], PUBLISHED[name], side)


@pytest.mark.parametrize("name", [name for name, views in PUBLISHED.items() if views[0].like == "pillow"])
def test_views_equal_pillow_up_to_its_rounding(name):
    """Pillow has 256 levels of hue; strong contrast and RandAugment magnify this to at most 4 levels on average."""
    for difference in differences(PRESETS[name], PUBLISHED[name], (150, 190), exact=False):
        assert difference.mean() < 4


@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_views_of_small_images_equal_tensorflow(name):
    """Small images are not rounded; they differ by 1e-3 levels, except for pixels at the threshold of solarisation."""
    for difference in differences(PRESETS[name], PUBLISHED[name], (70, 70), 12):
        assert np.quantile(difference, 0.999) < 1e-2


def check_blur(name, **fields):
    """Compare views that are only blurred; Pillow rounds to 8 bits six times, which is at most 3 levels."""
    blurred = changed(name, jitter_probability=0.0, grey_probability=0.0, blur_probability=1.0, **fields)
    for difference in differences(blurred, PUBLISHED[name], (450, 600)):
        assert difference.max() < 4.5


@pytest.mark.parametrize("name", ["swav", "mocov2", "simsiam", "jcl"])
def test_blur_equals_pillow(name):
    check_blur(name)


def test_a_kernel_of_a_tenth_of_the_view_differs_from_pillow():
    with pytest.raises(AssertionError):
        check_blur("swav", blur_like="torchvision")


# Each field of a preset matters.


def changed(name, **fields):
    preset = PRESETS[name]
    return replace(preset, sizes=tuple(replace(group, **fields) for group in preset.sizes))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("barlow", {"interpolation": "bilinear"}),
        ("byol", {"interpolation": "bicubic"}),
        ("simclr", {"interpolation": "bicubic"}),
        ("mocov1", {"order": PRESETS["mocov2"].sizes[0].order}),
        ("infomin", {"order": PRESETS["mocov2"].sizes[0].order}),
        ("infomin", {"rand_augment": (3, 10)}),
        ("byol", {"blur_like": "torchvision"}),
        ("byol", {"colour_like": "simclr"}),
        ("simclr", {"colour_like": "torchvision"}),
    ],
)
def test_other_arithmetic_or_order_changes_the_pixels(name, fields):
    with pytest.raises(AssertionError):
        check_pixels(changed(name, **fields), PUBLISHED[name], (450, 600))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("byol", {"crop_like": "torchvision"}),
        ("simclr", {"crop_like": "torchvision"}),
        ("cmc", {"scale": (0.2, 1.0)}),
        ("supervised", {"jitter_probability": 1.0, "brightness": 0.4}),
        ("barlow", {"blur_probability": 0.5}),
        ("mocov1", {"hue": 0.1}),
    ],
)
def test_another_distribution_is_detected(name, fields):
    with pytest.raises(AssertionError):
        check_draws(changed(name, **fields), PUBLISHED[name])


# Evaluation


@pytest.mark.parametrize("name", [name for name, views in PUBLISHED.items() if views[0].like == "pillow"])
@pytest.mark.parametrize("side", [(150, 190), (300, 270)])
def test_evaluation_resizes_to_256_and_crops_224(name, side):
    image, view = a_picture(*side), PUBLISHED[name][0]
    theirs = F.to_tensor(F.center_crop(F.resize(F.to_pil_image(image), 256), 224))
    theirs = F.normalize(theirs, view.mean, view.std)
    torch.testing.assert_close(evaluation_view([image], PRESETS[name])[0], theirs, atol=1.5 / 255 / 0.22, rtol=0)


@pytest.mark.parametrize(("name", "whole"), [("simclr", round), ("byol", int)])
@pytest.mark.parametrize("side", [(150, 190), (301, 267)])
def test_evaluation_crops_seven_eighths_and_resizes(name, whole, side):
    image, view = a_picture(*side), PUBLISHED[name][0]
    edge = whole(0.875 * min(side))
    top, left = ((length - edge + 1) // 2 for length in side)
    cut = image.double().numpy()[:, top : top + edge, left : left + edge] / 255
    theirs = (tensorflow_resize(cut, 224) - np.array(view.mean)[:, None, None]) / np.array(view.std)[:, None, None]
    np.testing.assert_allclose(evaluation_view([image], PRESETS[name])[0], theirs, atol=1e-4)


# RandAugment


def test_infomin_has_the_operations_of_the_released_code():
    augment = rand_augment.build_rand_augment(*PRESETS["infomin"].sizes[0].rand_augment, MEAN)
    names = "AutoContrast Equalize Invert Rotate Posterize Solarize SolarizeAdd Color Contrast Brightness Sharpness"
    assert [op.name for op in augment.ops] == [*names.split(), "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"]
    assert augment.num_layers == 2
    assert {(op.prob, op.magnitude, op.magnitude_std, op.kwargs["fillcolor"]) for op in augment.ops} == {
        (0.5, 10, 0.5, (124, 116, 104))
    }


def check_rand_augment():
    image, views = a_picture(24, 24), 600
    x = image.div(255).expand(views, -1, -1, -1).clone()
    rand_augment_(x, torch.arange(views).view(-1, 1, 1, 1), 2, 10, MEAN)
    augment = rand_augment_transform("rand-n2-m10-mstd0.5", {"img_mean": (124, 116, 104)})
    random.seed(5)
    np.random.seed(5)
    theirs = torch.stack([F.pil_to_tensor(augment(F.to_pil_image(image))) for _ in range(views)])
    one, other = ((y - image.float()).abs().mean((1, 2, 3)) for y in (x.mul(255), theirs.float()))
    assert ks_2samp(one.round(decimals=2).numpy(), other.round(decimals=2).numpy()).pvalue > LIKELY


def test_rand_augment_changes_views_as_timm_does():
    check_rand_augment()


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_another_probability_of_the_operations_is_detected(probability, monkeypatch):
    monkeypatch.setattr(rand_augment, "PROBABILITY", probability)
    rand_augment.build_rand_augment.cache_clear()
    with pytest.raises(AssertionError):
        check_rand_augment()
    rand_augment.build_rand_augment.cache_clear()
