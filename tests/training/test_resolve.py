import pytest
import torch
from PIL import Image

from uota.data import Folder, Groups, open_source
from uota.data.memory import TensorSource
from uota.data.open import open_items
from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods import Step
from uota.methods.build import check_statistics
from uota.settings.pretrain import Pretrain
from uota.training.defaults import STEPS
from uota.training.resolve import explain_auto, resolve_auto
from uota.training.setup import build_module
from uota.views import ViewPipeline
from uota.views.presets import preset_of


def test_compile_applies_to_encoders_heads_and_loss_and_to_momentum_copies(monkeypatch):
    called = []

    def compiled(function, **options):
        def counted(*inputs):
            called.append(function.__self__)
            return function(*inputs)

        return counted

    monkeypatch.setattr("torch.compile", compiled)
    source = open_source("demo")
    settings = resolve_auto(Pretrain.from_flat(data="demo", method="byol", compile=True), source)
    preset = preset_of(settings)
    views = ViewPipeline(preset, 0)(source, [(0, index) for index in range(8)])
    method = build_module(settings, total_steps=2).method

    embedded = method.embed(views.by_size, Step())
    method.loss(embedded, ViewWeights.uniform(preset.views, 8), Step())

    of_targets, of_views = preset.global_views, preset.views  # once for each view
    expected = [method.target.encoder] * of_targets + [method.target.projector] * of_targets
    expected += [method.encoder] * of_views + [method.projector] * of_views
    assert sorted(called, key=id) == sorted([*expected, method, *[method.predictor] * of_views], key=id)
    assert not any("compiled" in name for name in method.state_dict())


def test_compiling_and_checkpointing_exclude_each_other():
    settings = resolve_auto(
        Pretrain.from_flat(data="demo", compile=True, checkpoint_activations=True), open_source("demo")
    )
    with pytest.raises(UotaError, match="compile and checkpoint_activations are both set"):
        build_module(settings, total_steps=2)


@pytest.mark.parametrize(
    ("cuda", "channels", "views", "backbone", "eyes"),
    [
        (False, 3, "small-groups", "tiny", "features"),  # images of 4 pixels
        (True, 3, "large-groups", "resnet50", "pretrained"),
        (False, 1, "small-grey-groups", "tiny", "features"),
    ],
)
def test_views_of_groups_depend_on_accelerator_and_channels(monkeypatch, cuda, channels, views, backbone, eyes):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    groups = Groups(TensorSource("files", torch.zeros(8, channels, 4, 4, dtype=torch.uint8)), [range(4), range(4, 8)])
    settings = resolve_auto(Pretrain.from_flat(views="groups"), groups)
    assert (settings.views.preset, settings.method.backbone, settings.arbitration.eyes) == (
        views,
        backbone,
        eyes,
    )
    assert settings.method.name == "simclr"
    assert resolve_auto(settings, groups) == settings


def test_a_preset_across_images_opens_groups(tmp_path):
    for thing in "ab":
        (tmp_path / thing).mkdir()
        for name in ("0.png", "1.png"):
            Image.new("RGB", (4, 4)).save(tmp_path / thing / name)
    for views in ("groups", "small-groups", "large-groups"):
        assert isinstance(open_items(str(tmp_path), views), Groups)
    for views in ("auto", "small", "no such preset"):
        assert isinstance(open_items(str(tmp_path), views), Folder)


def test_images_are_counted_for_a_method_that_remembers_each(pictures):
    source = open_source(str(pictures))
    settings = Pretrain.from_flat(data=str(pictures), method="cmc", method_options={"negatives": 5})
    assert resolve_auto(settings, source).method.options == {"negatives": 5, "images": len(source)}
    assert resolve_auto(settings, source, trained=True).method.options == {"negatives": 5}
    assert resolve_auto(settings.replace_flat(method_options={}), source).method.options == {}


def test_memories_are_not_sent_between_processes_in_every_step():
    """The names that DistributedDataParallel is told to ignore are those of the memories' buffers."""
    settings = Pretrain.from_flat(
        method="cmc", views="small", backbone="tiny", method_options={"negatives": 5, "images": 7}
    )
    module = build_module(settings.replace_flat(arbiter="none"), total_steps=1)
    left = module._ddp_params_and_buffers_to_ignore
    assert sorted(left) == ["method.contrast.colour.rows", "method.contrast.light.rows"]
    assert set(left) <= {name for name, _ in module.named_buffers()}


@pytest.mark.parametrize("method", ["simsiam", "byol", "barlow_twins"])
def test_batch_statistics_need_two_images_unless_views_share_them(method):
    settings = resolve_auto(
        Pretrain.from_flat(data="demo", method=method, batch_size=2, devices=2), open_source("demo")
    )
    built = build_module(settings, total_steps=2).method
    check_statistics(built, settings, images=1)  # synchronised, as published: two images share statistics
    with pytest.raises(UotaError, match="at least 2 images a device"):
        check_statistics(built, settings.replace_flat(sync_batch_norm=False), images=1)
    with pytest.raises(UotaError, match="batch_size 1 leaves batch norm one image"):
        check_statistics(built, settings.replace_flat(batch_size=1, devices=1), images=1)
    joint = settings.replace_flat(batch_size=1, devices=1, method_options={"batch_norm": "joint"})
    check_statistics(build_module(joint, total_steps=2).method, joint, images=1)


def test_what_auto_becomes_is_explained():
    asked = Pretrain.from_flat(data="demo", backbone="resnet18")
    settings, choices = explain_auto(asked, open_source("demo"))
    assert settings == resolve_auto(asked, open_source("demo"))
    became = {choice.name: choice.value for choice in choices}
    assert became == {name: settings.as_flat()[name] for name in became}
    of_weights = {"init", "batch_size", "learning_rate", "epochs"}
    others = {"method", "views", "arbiter", "eyes", "weighted_side", "start", "sync_batch_norm"}
    assert became.keys() == of_weights | others
    assert all(choice.reason for choice in choices)
    assert explain_auto(settings, open_source("demo"))[1] == []
    by_steps = resolve_auto(asked.replace_flat(steps=50), open_source("demo")).optimization
    assert (by_steps.epochs, by_steps.steps) == (None, 50)


def pictures_of(side, count=12, channels=3):
    return TensorSource("pictures", torch.zeros(count, channels, side, side, dtype=torch.uint8))


def test_large_colour_pictures_start_from_the_embedded_weights():
    settings = resolve_auto(Pretrain(), pictures_of(64))
    flat = settings.as_flat()
    expected = {"init": "pretrained", "backbone": "tf_efficientnet_lite0", "views": "medium-wide", "method": "byol"}
    expected |= {"mean": [0.5] * 3, "std": [0.5] * 3, "learning_rate": 1e-3, "batch_size": 64, "epochs": None}
    expected |= {"encoder_rate": 0.2, "frozen_norms": True, "norm_adaptation": 0.5, "kept_share": 0.7}
    expected |= {"frozen_stages": None if torch.cuda.is_available() else 3}
    assert {name: flat[name] for name in expected} == expected
    assert flat["steps"] in STEPS.values()
    assert preset_of(settings).mean == (0.5, 0.5, 0.5)
    assert resolve_auto(settings, pictures_of(64)) == settings


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, pictures_of(63)),
        ({"size": 48}, pictures_of(64)),
        ({"backbone": "resnet18"}, pictures_of(64)),
        ({"method": "random"}, pictures_of(64)),
        ({"method": "cmc"}, pictures_of(64)),
        ({"init": "random"}, pictures_of(64)),
        ({"views": "small-grey"}, pictures_of(64, channels=1)),
    ],
)
def test_others_start_from_random_weights_as_ever(changes, source):
    flat = resolve_auto(Pretrain.from_flat(**changes), source).as_flat()
    expected = {"init": "random", "mean": None, "batch_size": 128, "learning_rate": 2e-3, "epochs": 12, "steps": None}
    expected |= dict.fromkeys(("encoder_rate", "frozen_norms", "frozen_stages", "norm_adaptation", "kept_share"))
    assert {name: flat[name] for name in expected} == expected


def test_many_pictures_and_an_accelerator_train_from_random_weights(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    few = resolve_auto(Pretrain(), pictures_of(64))
    assert (few.method.init, few.views.preset, few.method.name) == ("pretrained", "byol", "byol")
    assert preset_of(few).sizes[0].size == 224
    monkeypatch.setattr("uota.training.defaults.MANY_IMAGES", 12)
    many = resolve_auto(Pretrain(), pictures_of(64))
    assert (many.method.init, many.views.preset, many.method.name) == ("random", "swav", "swav")


def test_groups_of_large_pictures_have_medium_views():
    groups = Groups(pictures_of(64), [range(6), range(6, 12)])
    settings = resolve_auto(Pretrain.from_flat(views="groups"), groups)
    assert (settings.method.init, settings.views.preset) == ("pretrained", "medium-groups")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"init": "pretrained", "backbone": "resnet18"}, "is a tf_efficientnet_lite0, and backbone is resnet18"),
        ({"init": "resnet18", "backbone": "resnet50"}, "is a resnet18, and backbone is resnet50; leave backbone out"),
        ({"init": "pretrained", "views": "small"}, "views have 32 pixels; choose --views medium"),
        ({"init": "pretrained", "method": "cmc", "views": "cmc"}, "CMC cannot start from init pretrained"),
        ({"init": "pretrained", "zero_init_last": True}, "zero_init_last is set"),
        ({"init": "no such weights"}, "not the folder of a run, not a file of weights"),
        ({"init": "resnet26t_no"}, "not the folder of a run, not a file of weights"),
        ({"size": [96, 64, 32]}, "give the side of the global views"),
        ({"size": [96, 64], "views": "simclr"}, "has no local views"),
        ({"mean": [0.5]}, "belong together"),
        ({"mean": [0.5], "std": [0.0]}, "above 0"),
    ],
)
def test_contradictions_are_refused(changes, said):
    with pytest.raises(UotaError, match=said):
        resolve_auto(Pretrain.from_flat(**changes), pictures_of(64))


def test_a_timm_model_has_its_own_normalisation():
    settings = resolve_auto(Pretrain.from_flat(init="resnet18"), pictures_of(64))
    assert settings.method.backbone == "resnet18"
    assert preset_of(settings).mean == pytest.approx((0.485, 0.456, 0.406))
    settings = resolve_auto(Pretrain.from_flat(init="vit_small_patch16_224"), pictures_of(64))
    assert preset_of(settings).std == (0.5, 0.5, 0.5)
