import pytest

from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.views import PRESETS, ViewPreset, ViewSizePreset, find_preset
from uota.views.presets import preset_of


def test_every_preset_is_found_by_its_name():
    assert all(find_preset(name) is preset and preset.name == name for name, preset in PRESETS.items())
    assert {"swav", "simclr", "mocov1", "mocov2", "byol", "small", "small-grey", "scenes"} <= set(PRESETS)


def test_an_unknown_preset_is_an_error_that_lists_the_known():
    with pytest.raises(UotaError, match=r"swaw.*choose auto, groups or one of.*swav"):
        find_preset("swaw")


def test_views_are_counted_over_sizes():
    preset = PRESETS["swav"]
    assert (preset.views, preset.global_views, preset.channels) == (8, 2, 3)
    assert PRESETS["scenes"].channels == 1


def test_blur_kernels_are_a_tenth_of_the_view_and_odd():
    assert [view_size.blur_kernel for view_size in PRESETS["swav"].sizes] == [23, 9]


@pytest.mark.parametrize(("count", "views", "sizes"), [(0, 2, 1), (1, 3, 2), (9, 11, 2)])
def test_the_number_of_local_views_is_changed(count, views, sizes):
    preset = PRESETS["swav"].with_local_views(count)
    assert (preset.views, len(preset.sizes), preset.global_views) == (views, sizes, 2)


def test_local_views_of_a_preset_without_them_are_refused():
    assert PRESETS["byol"].with_local_views(0).views == 2
    with pytest.raises(UotaError, match="no local views"):
        PRESETS["byol"].with_local_views(3)


def test_per_view_values_are_repeated_with_their_views():
    twice = PRESETS["byol"].with_counts([4]).sizes[0]
    assert twice.blur_probabilities == (1.0, 0.1, 1.0, 0.1)
    assert twice.solarise_probabilities == (0.0, 0.2, 0.0, 0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count and size"),
        ({"scale": (0.5, 0.1)}, "scale"),
        ({"hue": 0.7}, "turns"),
        ({"blur_probability": (1.0,)}, "one per view"),
        ({"order": ("jitter", "grey")}, "it must name each of jitter, grey, blur, solarise, rand_augment once"),
        ({"rand_augment": (2, 30)}, "rand_augment"),
    ],
)
def test_invalid_fields_are_refused(settings, message):
    with pytest.raises(UotaError, match=message):
        ViewSizePreset(**{"count": 2, "size": 8, "scale": (0.1, 1.0), **settings})


def test_statistics_must_fit_an_image():
    view_size = ViewSizePreset(2, 8, (0.1, 1.0))
    with pytest.raises(UotaError, match="one value per channel"):
        ViewPreset("odd", (view_size,), (0.5, 0.5), (0.5, 0.5), evaluation_size=8)
    with pytest.raises(UotaError, match="no views left"):
        ViewPreset("none", (), (0.5,), (0.5,), evaluation_size=8)


def test_views_are_changed_by_size_and_field():
    changed = PRESETS["swav"].with_options({"local": {"scale": [0.08, 0.14], "hue": 0.1}})
    assert changed.sizes[0] == PRESETS["swav"].sizes[0]
    assert (changed.sizes[1].scale, changed.sizes[1].hue) == ((0.08, 0.14), 0.1)
    assert changed.size_name_of_view == ["global"] * 2 + ["local"] * 6
    assert PRESETS["swav"].with_options({}) == PRESETS["swav"]
    order = ["grey", "jitter", "blur", "solarise", "rand_augment"]
    assert PRESETS["swav"].with_options({"global": {"order": order}}).sizes[0].order == tuple(order)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"middle": {"hue": 0.1}}, "no 'middle' views"),
        ({"local": {"size": 3}}, "no 'size' to change"),
        ({"local": {"scale": 0.3}}, "cannot be changed"),
        ({"local": {"scale": [0.3, 0.1]}}, "the smaller first"),
        (
            {"local": {"order": ["jitter", "grey"]}},
            "it must name each of jitter, grey, blur, solarise, rand_augment once",
        ),
    ],
)
def test_invalid_changes_are_refused(options, message):
    with pytest.raises(UotaError, match=message):
        PRESETS["swav"].with_options(options)


@pytest.mark.parametrize("name", ["interpolation", "crop_like", "colour_like", "blur_like"])
def test_an_unknown_implementation_is_refused(name):
    with pytest.raises((UotaError, TypeError), match=r"torchvision|bilinear"):  # beartype may raise first
        ViewSizePreset(2, 8, (0.1, 1.0), **{name: "timm"})


def test_views_of_other_sizes_keep_their_proportions():
    swav = PRESETS["swav"].with_sizes([112])
    assert [size.size for size in swav.sizes] == [112, 48]
    assert (swav.evaluation_size, swav.evaluation_resize) == (112, 128)
    assert [size.scale for size in swav.sizes] == [size.scale for size in PRESETS["swav"].sizes]
    assert [size.size for size in PRESETS["medium"].with_sizes([128, 48]).sizes] == [128, 48]
    settings = Pretrain.from_flat(views="medium", size=[80, 40], mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 3.0])
    preset = preset_of(settings)
    assert ([size.size for size in preset.sizes], preset.evaluation_size) == ([80, 40], 80)
    assert (preset.mean, preset.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    with pytest.raises(UotaError, match="has no local views; give one size"):
        PRESETS["simclr"].with_sizes([96, 64])
