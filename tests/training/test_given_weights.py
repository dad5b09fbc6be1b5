"""What becomes of weights that a run starts from, against references in float64."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.training import given_weights
from uota.training.given_weights import GivenWeights, adapt_norms, mix, random_batches
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto
from uota.training.setup import build_module
from uota.views import evaluation_view
from uota.views.presets import preset_of


@pytest.fixture
def weights(tmp_path):
    """A file of weights for the smallest encoder, with statistics that fit no images."""
    torch.manual_seed(3)
    encoder = Encoder("tiny", image_size=32)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    torch.save(encoder.backbone.state_dict(), tmp_path / "given.pth")
    return tmp_path / "given.pth", encoder


def test_norms_move_towards_the_statistics_of_all_images(pictures, small, monkeypatch):
    monkeypatch.setattr(given_weights, "BATCH", 19)
    source = open_source(str(pictures))
    settings = resolve_auto(small(init="random"), source)
    preset = preset_of(settings)
    batches = random_batches(source, preset, seed=0)
    assert [len(places) for places in batches] == [19] * 4  # all images, in equal batches
    assert all(len(set(source.labels[places].tolist())) > 1 for places in batches)  # of several classes each
    norm = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    norm[0].running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm[0].running_var.copy_(torch.tensor([4.0, 5.0, 6.0]))
    adapt_norms(norm, source, batches, preset, 0.25)
    views = [evaluation_view(source.images(places), preset).double().numpy() for places in batches]
    mean = np.mean([each.mean((0, 2, 3)) for each in views], 0)
    variance = np.mean([each.var((0, 2, 3), ddof=1) for each in views], 0)
    np.testing.assert_allclose(norm[0].running_mean, 0.75 * np.array([1, 2, 3]) + 0.25 * mean, rtol=1e-4)
    np.testing.assert_allclose(norm[0].running_var, 0.75 * np.array([4, 5, 6]) + 0.25 * variance, rtol=1e-4)
    assert norm[0].momentum == 0.1
    assert norm[1].training
    assert norm[0].training


def test_weights_are_mixed_and_counts_are_not():
    torch.manual_seed(0)
    one, other = nn.BatchNorm1d(4).double(), nn.BatchNorm1d(4).double()
    one.weight.data, other.weight.data = torch.randn(2, 4, dtype=torch.float64)
    other.num_batches_tracked += 7
    expected = 0.3 * other.weight.detach().numpy() + 0.7 * one.weight.detach().numpy()
    mix(one, other.state_dict(), 0.3)
    np.testing.assert_allclose(one.weight.detach(), expected, rtol=1e-12)
    assert int(one.num_batches_tracked) == 7


def test_a_momentum_copy_is_adapted_along_with_the_encoder(pictures, small, weights):
    source = open_source(str(pictures))
    settings = resolve_auto(small(init=str(weights[0]), backbone="tiny", method="byol"), source)
    assert (settings.method.norm_adaptation, settings.method.frozen_norms) == (0.5, True)
    module = build_module(settings, 5, initial=weights[1].backbone.state_dict())
    GivenWeights(settings, source, 5).on_train_start(pl.Trainer(logger=False, accelerator="cpu"), module)
    method = module.method
    given, own = weights[1].state_dict(), method.encoder.state_dict()
    changed = {name for name in own if not torch.equal(own[name], given[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}
    assert all(torch.equal(value, own[name]) for name, value in method.target.encoder.state_dict().items())


def test_a_run_that_was_stopped_before_its_first_step_is_adapted_once(pictures, small, weights):
    source = open_source(str(pictures))
    settings = resolve_auto(small(init=str(weights[0]), backbone="tiny"), source)
    module = build_module(settings, 5, initial=weights[1].backbone.state_dict())
    trainer = pl.Trainer(logger=False, accelerator="cpu")
    stopped, resumed = GivenWeights(settings, source, 5), GivenWeights(settings, source, 5)
    stopped.on_train_start(trainer, module)
    adapted = {name: value.clone() for name, value in module.method.encoder.state_dict().items()}
    resumed.load_state_dict(stopped.state_dict())
    resumed.on_train_start(trainer, module)
    assert all(torch.equal(value, adapted[name]) for name, value in module.method.encoder.state_dict().items())
    assert resumed.start.keys() == adapted.keys()


def test_the_encoder_at_the_end_is_a_mean_of_the_given_and_the_trained_one(pictures, small, weights, tmp_path):
    def end(share):
        flags = {"init": str(weights[0]), "backbone": "tiny", "norm_adaptation": 0.0, "arbiter": "none"}
        settings = small(kept_share=share, method="simclr", steps=3, epochs=None, **flags)
        run = pretrain(settings, tmp_path / f"run-{share}", bar=False, lines=False)
        left = run.state()["callbacks"]["GivenWeights"]
        assert left == {"start": {}, "is_adapted": True}  # nothing that only training needs
        return load_encoder(EncoderSpec(str(run.folder))).encoder.state_dict()

    trained, mean, given = end(0.0), end(0.75), weights[1].state_dict()
    moved = [name for name in given if given[name].is_floating_point() and not torch.equal(given[name], trained[name])]
    assert moved
    for name in moved:
        expected = 0.75 * given[name].double() + 0.25 * trained[name].double()
        torch.testing.assert_close(mean[name].double(), expected, rtol=1e-5, atol=1e-6)


def test_long_runs_and_rates_of_ones_own_keep_nothing(pictures, small, weights):
    source = open_source(str(pictures))

    def kept(**changes):
        settings = small(init=str(weights[0]), backbone="tiny", epochs=None, **changes)
        return resolve_auto(settings, source).optimization.kept_share

    assert kept(steps=1000) == 0.7
    assert kept(steps=1001) is None
    assert kept(steps=10, learning_rate=1e-2) is None
    assert kept(steps=10, encoder_rate=1.0) is None
    assert kept(steps=1001, kept_share=0.2) == 0.2
