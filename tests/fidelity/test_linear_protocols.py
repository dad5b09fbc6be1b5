"""Every published linear evaluation, and SwAV's fine-tuning, against what papers and released code do, in float64.

The values are written out here once more as they were read; the schedules are computed epoch by epoch, the optimisers
by their formulas.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
import yaml
from scipy.stats import kstest, norm, truncnorm, uniform
from torch import nn

from uota.evaluation.classifier import Classifier
from uota.evaluation.finetune import finetune_plan, finetune_training
from uota.evaluation.initial import INITIAL
from uota.evaluation.linear_sgd import linear_plan, linear_training
from uota.evaluation.optimizers import OPTIMIZERS
from uota.methods import METHODS
from uota.settings.evaluation import Finetune, LinearSGD
from uota.settings.linear_protocols import LINEAR_PROTOCOLS, protocol_of
from uota.views import PRESETS, ViewPipeline

IMAGENET = 1_281_167


@dataclass
class Published:
    """A published linear evaluation; the learning rate is for the published batch size."""

    epochs: int
    batch: int
    rate: float
    moves: str
    optimizer: str
    decay: float = 0.0
    initial: str = "normal"
    crop: float = 0.08
    images: str = "torchvision"


PUBLISHED = {
    "swav": Published(100, 256, 0.3, "cosine of epochs", "sgd", decay=1e-6),
    "uota": Published(100, 256, 1.2, "cosine of epochs", "sgd", decay=1e-6),
    "moco": Published(100, 256, 30.0, "0.1 at 60, 80", "sgd"),
    "jcl": Published(100, 256, 30.0, "0.1 at 60, 80", "sgd"),
    "simsiam": Published(90, 4096, 1.6, "cosine of epochs", "larc"),
    "byol": Published(80, 1024, 0.8, "cosine of steps", "nesterov", initial="truncated_normal", images="byol"),
    "simclr": Published(90, 4096, 1.6, "cosine of steps", "nesterov", initial="zeros", images="simclr"),
    "barlow_twins": Published(100, 256, 0.3, "cosine of epochs", "sgd", decay=1e-6),
    "cmc": Published(60, 256, 30.0, "0.2 at 30, 40, 50", "sgd"),
    "infomin": Published(60, 256, 30.0, "0.2 at 30, 40, 50", "sgd", initial="uniform", crop=0.2),
}
# Factor of the learning rate in an epoch, counted from 0, or in a step.
MOVES = {
    "cosine of epochs": lambda epoch, epochs, step, steps: 0.5 * (1 + math.cos(math.pi * epoch / epochs)),
    "cosine of steps": lambda epoch, epochs, step, steps: 0.5 * (1 + math.cos(math.pi * step / steps)),
    "0.1 at 60, 80": lambda epoch, epochs, step, steps: 0.1 if 60 <= epoch < 80 else 0.01 if epoch >= 80 else 1.0,
    "0.2 at 30, 40, 50": lambda epoch, epochs, step, steps: [1.0, 0.2, 0.04, 0.008][
        (epoch >= 30) + (epoch >= 40) + (epoch >= 50)
    ],
}


def trained(name, images, **changes):
    """Return how a protocol trains on this number of images."""
    settings = LinearSGD(protocol=name, **changes)
    protocol = settings.effective()
    return linear_training(protocol, linear_plan(settings, protocol), images)


def test_every_protocol_has_a_reference():
    assert PUBLISHED.keys() == LINEAR_PROTOCOLS.keys()
    assert get_args(get_type_hints(LinearSGD)["protocol"]) == ("auto", *LINEAR_PROTOCOLS)
    assert all(name == protocol.name for name, protocol in LINEAR_PROTOCOLS.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_values_are_as_published(name):
    found, published = trained(name, IMAGENET), PUBLISHED[name]
    protocol = LINEAR_PROTOCOLS[name]
    assert (found.epochs, found.epoch_steps) == (published.epochs, IMAGENET // published.batch)
    assert found.head_rate == pytest.approx(published.rate, rel=1e-12)
    assert found.encoder_rate is None
    assert (found.optimizer, found.weight_decay, found.momentum) == (published.optimizer, published.decay, 0.9)
    assert (found.initial, protocol.smallest_crop) == (published.initial, published.crop)
    assert (protocol.images_like, protocol.batch_size) == (published.images, published.batch)


@pytest.mark.parametrize("epoch_steps", [1, 7])
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_learning_rate_of_every_step(name, epoch_steps):
    published = PUBLISHED[name]
    training = replace(trained(name, IMAGENET), epoch_steps=epoch_steps)
    steps = published.epochs * epoch_steps
    move = MOVES[published.moves]
    for step in range(steps):
        expected = published.rate * move(step // epoch_steps, published.epochs, step, steps)
        assert training.head_rate * training.decay(step) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["moco", "cmc", "simsiam"])
def test_the_learning_rate_follows_the_epochs_of_imagenet(name):
    """The first and the last step of each epoch are tested, where rounding could confuse epochs."""
    training, published = trained(name, IMAGENET), PUBLISHED[name]
    for epoch in range(published.epochs):
        factor = MOVES[published.moves](epoch, published.epochs, None, None)
        first = epoch * training.epoch_steps
        for step in (first, first + training.epoch_steps - 1):
            assert training.decay(step) == pytest.approx(factor, rel=1e-12, abs=1e-15)


def test_given_settings_override_the_protocol():
    changed = LinearSGD(
        protocol="moco",
        epochs=10,
        batch_size=64,
        learning_rate=2.0,
        weight_decay=0.5,
        momentum=0.1,
        smallest_crop=0.7,
    ).effective()
    moco = LINEAR_PROTOCOLS["moco"]
    assert (changed.schedule, changed.optimizer, changed.initial) == (moco.schedule, moco.optimizer, moco.initial)
    assert (changed.epochs, changed.batch_size, changed.learning_rate) == (10, 64, 2.0)
    assert (changed.weight_decay, changed.momentum, changed.smallest_crop) == (0.5, 0.1, 0.7)
    training = trained("moco", 6400, epochs=10, batch_size=64, learning_rate=2.0)
    assert (training.head_rate, training.epoch_steps) == (2.0 * 64 / 256, 100)
    assert [round(training.decay(step), 9) for step in (599, 600, 799, 800)] == [1, 0.1, 0.1, 0.01]


@pytest.mark.parametrize(
    ("method", "arbiter", "name"),
    [
        ("swav", "mahalanobis", "uota"),
        ("swav", "learned", "swav"),
        ("swav", "none", "swav"),
        ("moco_v1", "none", "moco"),
        ("moco_v2", "mahalanobis", "moco"),
        ("jcl", "none", "jcl"),
        ("simsiam", "none", "simsiam"),
        ("byol", "none", "byol"),
        ("simclr", "learned", "simclr"),
        ("barlow_twins", "none", "barlow_twins"),
        ("cmc", "none", "cmc"),
        ("infomin", "none", "infomin"),
        ("cpc_v2", "none", "swav"),
        ("supervised", "none", "swav"),
        ("random", "none", "swav"),
        ("somebodys.Method", "learned", "swav"),
        (None, None, "swav"),
    ],
)
def test_auto_selects_the_protocol_of_the_method(method, arbiter, name):
    assert protocol_of(method, arbiter) == name
    assert LinearSGD().decided(method, arbiter).protocol == name
    assert LinearSGD(protocol="byol").decided(method, arbiter).protocol == "byol"


def test_auto_covers_every_method():
    assert {protocol_of(method, "none") for method in METHODS} | {"uota"} == LINEAR_PROTOCOLS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_documented_values_match(name):
    """Values in docs/published, which gives schedules in parts, equal those above."""
    rows = yaml.safe_load((Path(__file__).parents[2] / f"docs/published/protocols-{name}.yaml").read_text())
    prefix = f"uota.settings.linear_protocols:LINEAR_PROTOCOLS.{name}."
    said = {row["setting"].removeprefix(prefix): row["published"] for row in rows if row["setting"].startswith(prefix)}
    protocol = LINEAR_PROTOCOLS[name]
    moves = {path: said.pop(path) for path in list(said) if path.startswith("schedule.")}
    assert said == {key: value for key, value in protocol.as_dict().items() if key in said}
    assert said.keys() == protocol.as_dict().keys() - {"name", "source", "schedule"}
    assert moves
    for path, value in moves.items():
        assert getattr(protocol.schedule, path.removeprefix("schedule.")) == pytest.approx(value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_training_crops_and_evaluation_images_are_as_published(name):
    """Encoders of large images use these whatever their preset; small images are resized whole with antialiasing."""
    settings, published = LinearSGD(protocol=name), PUBLISHED[name]
    plan = linear_plan(settings, settings.effective())
    for preset in ("mocov2", "byol", "simclr"):
        made = plan.views(PRESETS[preset])
        (crops,) = made.sizes
        cubic = published.images != "torchvision"
        assert (crops.count, crops.size, crops.scale, crops.ratio) == (1, 224, (published.crop, 1.0), (3 / 4, 4 / 3))
        assert (crops.crop_like, made.evaluation_like) == (published.images, published.images)
        assert crops.interpolation == ("bicubic_aliased" if cubic else "bilinear")
        assert (crops.flip_probability, crops.jitter_probability, crops.grey_probability) == (0.5, 0.0, 0.0)
        assert (made.mean, made.std) == (PRESETS[preset].mean, PRESETS[preset].std)
    small = plan.views(PRESETS["small"])
    assert (small.sizes[0].interpolation, small.sizes[0].crop_like) == ("bilinear", "torchvision")
    assert small.evaluation_like == "torchvision"


# --- trajectories

EPOCHS, EPOCH_STEPS = 30, 2  # each published fraction of training is a whole number of epochs
STEPS = EPOCHS * EPOCH_STEPS
BATCH, WIDTH, CLASSES = 12, 6, 4


class Steps:
    """A stand-in for the parts of Lightning's Trainer that the training step of a classifier uses."""

    def __init__(self, optimizer):
        self.optimizers, self.global_step = [optimizer], 0


def batches():
    random = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x = torch.randn(BATCH, WIDTH, 1, 1, generator=random, dtype=torch.float64)
        yield x, torch.randint(CLASSES, (BATCH,), generator=random)


def follow(classifier):
    """Take a step for each batch as Lightning does."""
    made = ViewPipeline(PRESETS["small-grey"]).of_image(torch.zeros(1, 28, 28, dtype=torch.uint8))
    optimizer = classifier.configure_optimizers()
    trainer = classifier.trainer = Steps(optimizer)
    classifier.log = lambda *_, **__: None
    for number, (x, labels) in enumerate(batches()):
        trainer.global_step = number
        views = replace(made, by_size=[x[None]], index=torch.arange(BATCH), wrong=None, labels=labels)
        classifier.on_train_batch_start(views, number)
        optimizer.zero_grad()
        classifier.training_step(views, number).backward()
        optimizer.step()


def gradients(weight, bias, x, labels):
    wrong = torch.softmax(x @ weight.T + bias, 1)
    wrong[torch.arange(BATCH), labels] -= 1
    return wrong.T @ x / BATCH, wrong.mean(0)


def moved(optimizer, parameter, gradient, velocity, decay):
    """Return the update, before multiplication by the learning rate, and the new velocity."""
    if optimizer == "larc":  # apex: SGD gets (gradient + decay w) times 0.001 ‖w‖ / (‖gradient‖ + decay ‖w‖)
        size, slope = parameter.norm(), gradient.norm()
        if size > 0 and slope > 0:
            gradient = (gradient + decay * parameter) * (0.001 * size / (slope + decay * size + 1e-8))
    else:
        gradient = gradient + decay * parameter
    velocity = 0.9 * velocity + gradient
    return (gradient + 0.9 * velocity if optimizer == "nesterov" else velocity), velocity


def by_hand(published, rate, weight, bias):
    """Take sixty steps through all changes of the published schedule, scaled to fewer epochs."""
    parameters, velocities = [weight, bias], [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step, (x, labels) in enumerate(batches()):
        epoch = step // EPOCH_STEPS * published.epochs / EPOCHS
        factor = MOVES[published.moves](epoch, published.epochs, step, STEPS)
        for place, gradient in enumerate(gradients(*parameters, x.flatten(1), labels)):
            change, velocities[place] = moved(
                published.optimizer, parameters[place], gradient, velocities[place], published.decay
            )
            parameters[place] = parameters[place] - rate * factor * change
    return parameters


@pytest.mark.parametrize("decay", [None, 0.01])
@pytest.mark.parametrize("name", PUBLISHED)
def test_sixty_steps_equal_the_reference(name, decay):
    """Test the published weight decay, and one that is large enough to have a visible effect."""
    rate = 0.05 if PUBLISHED[name].optimizer != "larc" else 50.0
    published = replace(PUBLISHED[name], decay=PUBLISHED[name].decay if decay is None else decay)
    training = trained(
        name,
        EPOCH_STEPS * BATCH,
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=rate * 256 / BATCH,
        weight_decay=decay,
    )
    assert training.epoch_steps == EPOCH_STEPS
    classifier = Classifier(nn.Flatten(), WIDTH, CLASSES, training).double()
    first = [parameter.detach().clone() for parameter in (classifier.head.weight, classifier.head.bias)]
    weight, bias = by_hand(published, rate, *first)
    follow(classifier)
    assert (weight - first[0]).abs().max() > 1e-3
    torch.testing.assert_close(classifier.head.weight, weight, rtol=0, atol=1e-9)
    torch.testing.assert_close(classifier.head.bias, bias, rtol=0, atol=1e-9)


def test_without_momentum_every_optimiser_is_built():
    for build in OPTIMIZERS.values():
        parameter = nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer = build([{"params": [parameter]}], 0.5, 0.0, 0.0)
        parameter.grad = torch.full_like(parameter, 1e-3)
        optimizer.step()
        assert float(parameter.detach()[0]) < 1


# --- initialisation

# Distribution of weights, and of biases if they are not zero, as a function of the number of inputs.
FIRST = {
    "normal": lambda inputs: (norm(scale=0.01), None),
    "truncated_normal": lambda inputs: (truncnorm(-2, 2, scale=inputs**-0.5), None),
    "uniform": lambda inputs: (uniform(-(inputs**-0.5), 2 * inputs**-0.5),) * 2,
}


@pytest.mark.parametrize("name", FIRST)
def test_first_weights_have_the_published_distribution(name):
    layer = nn.Linear(64, 500)
    INITIAL[name](layer, torch.Generator().manual_seed(0))
    weights, biases = FIRST[name](64)
    assert kstest(layer.weight.detach().flatten().numpy(), weights.cdf).pvalue > 1e-3
    if biases is None:
        assert not layer.bias.any()
    else:
        assert kstest(layer.bias.detach().numpy(), biases.cdf).pvalue > 1e-3


def test_the_default_initialisation_is_that_of_pytorch():
    layer = nn.Linear(64, 500)
    weights, biases = FIRST["uniform"](64)
    assert kstest(layer.weight.detach().flatten().numpy(), weights.cdf).pvalue > 1e-3
    assert kstest(layer.bias.detach().numpy(), biases.cdf).pvalue > 1e-3


def test_every_initialisation_is_tested_and_zeros_are_zero():
    assert INITIAL.keys() == {*FIRST, "zeros"}
    layer = nn.Linear(3, 2)
    INITIAL["zeros"](layer, torch.Generator())
    assert not layer.weight.any()
    assert not layer.bias.any()


# --- fine-tuning as SwAV's eval_semisup.py


@pytest.mark.parametrize(("labels", "encoder", "head"), [("1%", 0.02, 5.0), ("10%", 0.01, 0.2)])
def test_fine_tuning_has_the_settings_of_swav(labels, encoder, head):
    settings = Finetune(labels=labels)
    training = finetune_training(settings, finetune_plan(settings), 128_116)
    assert (training.encoder_rate, training.head_rate) == (encoder, head)
    assert (training.epochs, training.epoch_steps, training.weight_decay) == (20, 500, 0.0)
    assert (training.optimizer, training.momentum, training.initial) == ("sgd", 0.9, "uniform")
    assert (settings.batch_size, settings.smallest_crop) == (256, 0.08)
    for epoch in range(20):
        factor = 0.2 ** ((epoch >= 12) + (epoch >= 16))
        for step in (500 * epoch, 500 * epoch + 499):
            assert training.decay(step) == pytest.approx(factor, rel=1e-12)


def test_fine_tuning_the_whole_network_equals_the_reference():
    rates = {"learning_rate": 0.01 * 256 / BATCH, "head_learning_rate": 0.2 * 256 / BATCH}
    settings = Finetune(labels="100%", epochs=EPOCHS, batch_size=BATCH, **rates)
    training = finetune_training(settings, finetune_plan(settings), EPOCH_STEPS * BATCH)
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, 5), nn.BatchNorm1d(5), nn.ReLU())
    classifier = Classifier(encoder, 5, CLASSES, training).double()
    network = deepcopy(nn.Sequential(classifier.encoder, classifier.head)).train()
    velocity = {parameter: torch.zeros_like(parameter) for parameter in network.parameters()}
    for step, (x, labels) in enumerate(batches()):
        loss = -torch.log_softmax(network(x), 1)[torch.arange(BATCH), labels].mean()
        slopes = torch.autograd.grad(loss, list(velocity))
        for (parameter, moving), slope in zip(velocity.items(), slopes, strict=True):
            rate = 0.2 if any(parameter is own for own in network[1].parameters()) else 0.01
            moving.mul_(0.9).add_(slope)
            parameter.data -= rate * (1 if step < 36 else 0.2 if step < 48 else 0.04) * moving
    follow(classifier)
    found = nn.Sequential(classifier.encoder, classifier.head).state_dict()
    for name, expected in network.state_dict().items():
        torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-9, msg=name)
    assert network[0][2].num_batches_tracked == STEPS
