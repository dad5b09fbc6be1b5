"""The linear protocols, compared with an independent training loop in float64."""

import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.processes import SignallingSource

from uota.errors import UotaError
from uota.evaluation.classifier import Classifier, Training
from uota.evaluation.fit import Plan, epoch_steps_and_batch, fit
from uota.evaluation.linear_sgd import evaluate_linear_sgd
from uota.settings.evaluation import LinearSGD
from uota.settings.linear_protocols import Cosine
from uota.views import ViewPipeline, ViewSizePreset

FEW = Plan(
    epochs=3,
    batch_size=16,
    smallest_crop=0.5,
    images_like="torchvision",
    seed=0,
    workers=0,
    accelerator="cpu",
    devices=1,
    views_on="cpu",
)
RATE, DECAY = 300.0, 1e-4
SETTINGS = LinearSGD(epochs=3, batch_size=16, learning_rate=300.0, smallest_crop=0.5, workers=0, accelerator="cpu")


def classifier_of(subject, plan):
    epoch_steps, batch = epoch_steps_and_batch(len(subject.train), plan)
    training = Training(
        epochs=plan.epochs,
        epoch_steps=epoch_steps,
        head_rate=RATE * batch / 256,
        encoder_rate=None,
        schedule=Cosine("step"),
        optimizer="sgd",
        weight_decay=DECAY,
        momentum=0.9,
        initial="normal",
        seed=plan.seed,
    )
    return Classifier(subject.encoder, subject.encoder.width, subject.classes, training)


def trained_in_float64(subject, plan, head):
    """SGD with momentum and a cosine schedule, written out, on the features of one crop per image and epoch."""
    crops = ViewSizePreset(1, 24, (plan.smallest_crop, 1.0), jitter_probability=0.0)
    pipeline = ViewPipeline(replace(subject.loaded.preset, sizes=(crops,)), plan.seed)
    weight, bias = head.weight.detach().double(), head.bias.detach().double()
    moved = [torch.zeros_like(weight), torch.zeros_like(bias)]
    images, step = len(subject.train), 0
    for epoch in range(plan.epochs):
        order = np.random.default_rng((plan.seed, epoch)).permutation(images).tolist()
        for start in range(0, images, plan.batch_size):
            chosen = order[start : start + plan.batch_size]
            views = pipeline(subject.train, [(epoch, index) for index in chosen])
            x = subject.encoder(views.by_size[0][0]).detach().double()
            wrong = torch.softmax(x @ weight.T + bias, 1)
            wrong[torch.arange(len(chosen)), subject.train.labels[chosen]] -= 1
            gradients = wrong.T @ x / len(chosen), wrong.mean(0)
            rate = RATE * plan.batch_size / 256 * (1 + math.cos(math.pi * step / 12)) / 2
            for parameter, gradient, velocity in zip((weight, bias), gradients, moved, strict=True):
                velocity.mul_(0.9).add_(gradient + DECAY * parameter)
                parameter.sub_(rate * velocity)
            step += 1
    return weight, bias


def test_the_classifier_equals_that_of_the_independent_loop(subject, tmp_path):
    subject = subject()
    classifier = classifier_of(subject, FEW)
    before = {key: tensor.clone() for key, tensor in subject.encoder.state_dict().items()}
    weight, bias = trained_in_float64(subject, FEW, classifier.head)
    fit(classifier, subject.train, subject.test, subject.loaded.preset, FEW, tmp_path, bar=False)
    torch.testing.assert_close(classifier.head.weight.double(), weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(classifier.head.bias.double(), bias, rtol=1e-3, atol=1e-4)
    after = subject.encoder.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_accuracy_is_reproducible_and_above_chance(subject):
    subject = subject()
    settings = replace(SETTINGS, epochs=10, smallest_crop=0.9)
    found = evaluate_linear_sgd(subject, settings, bar=False)
    assert found == evaluate_linear_sgd(subject, settings, bar=False)
    assert 50 <= found.top1 <= found.top5 == 100
    assert not (subject.folder / "linear-sgd" / "checkpoint.ckpt").exists()


def test_interrupted_and_resumed_equals_uninterrupted(subject, tmp_path, capsys):
    whole, parts = (classifier_of(subject(), FEW) for _ in range(2))
    given = subject()

    def fitted(classifier, name, train):
        fit(classifier, train, given.test, given.loaded.preset, FEW, tmp_path / name, bar=False)

    fitted(whole, "whole", given.train)
    with pytest.raises(UotaError, match=r"stopped at step 4; run the same command again"):
        fitted(parts, "parts", SignallingSource(given.train, 5, signal.SIGINT))
    parts = classifier_of(subject(), FEW)
    fitted(parts, "parts", given.train)
    assert "resuming from" in capsys.readouterr().out
    assert torch.equal(whole.head.weight, parts.head.weight)
    assert whole.accuracy(1) == parts.accuracy(1)


def test_a_checkpoint_of_other_settings_is_not_resumed_from(subject, tmp_path, capsys):
    given, other = subject(), replace(FEW, seed=1)
    stopping = SignallingSource(given.train, 5, signal.SIGINT)
    with pytest.raises(UotaError, match="stopped"):
        fit(classifier_of(given, FEW), stopping, given.test, given.loaded.preset, FEW, tmp_path, bar=False)
    fresh, again = classifier_of(subject(), other), classifier_of(subject(), other)
    fit(fresh, given.train, given.test, given.loaded.preset, other, tmp_path, bar=False)
    fit(again, given.train, given.test, given.loaded.preset, other, tmp_path / "elsewhere", bar=False)
    assert "resuming" not in capsys.readouterr().out
    assert torch.equal(fresh.head.weight, again.head.weight)


def test_a_checkpoint_is_resumed_with_another_number_of_workers(subject, tmp_path, capsys):
    given = subject()
    stopping = SignallingSource(given.train, 5, signal.SIGINT)
    with pytest.raises(UotaError, match="stopped"):
        fit(classifier_of(given, FEW), stopping, given.test, given.loaded.preset, FEW, tmp_path, bar=False)
    fewer = replace(FEW, workers=None)
    fit(classifier_of(subject(), FEW), given.train, given.test, given.loaded.preset, fewer, tmp_path, bar=False)
    assert "resuming from" in capsys.readouterr().out


def test_divergence_is_reported_with_the_remedy(subject):
    with pytest.raises(UotaError, match="lower --learning_rate"):
        evaluate_linear_sgd(subject(), replace(SETTINGS, learning_rate=1e38), bar=False)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": -1}, {"learning_rate": 0.0}, {"smallest_crop": 1.5}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UotaError, match=next(iter(wrong))):
        LinearSGD(**wrong)
