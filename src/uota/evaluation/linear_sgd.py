"""Linear evaluation with published protocols: a classifier on a frozen encoder, trained on random crops with SGD.

Each paper has its own optimiser, learning rate, schedule and batch size (`uota.settings.linear_protocols`), chosen for
a ResNet-50 on ImageNet; on small images, `linear` may well give higher accuracies.
"""

from dataclasses import dataclass
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from uota.evaluation.classifier import Classifier, Training
from uota.evaluation.fit import Plan, epoch_steps_and_batch, fit
from uota.evaluation.subject import LabelledEncoder
from uota.runs.encoder import LoadedEncoder
from uota.settings.evaluation import LinearSGD
from uota.settings.linear_protocols import BATCH_OF_RATES, LinearProtocol
from uota.settings.ranges import count_ranks


@dataclass(frozen=True)
class LinearSGDAccuracy:
    """Accuracies in per cent after the last epoch, and the classifier's hyperparameters.

    Attributes:
        top1, top5: accuracies.
        linear_protocol: name of the published protocol.
        learning_rate: learning rate for 256 images.
        effective: values of the protocol, including those that the user has overridden.
    """

    top1: float
    top5: float
    linear_protocol: str
    learning_rate: float
    effective: dict[str, Any]


def evaluate_linear_sgd(subject: LabelledEncoder, settings: LinearSGD, bar: bool = True) -> LinearSGDAccuracy:
    """Train a linear classifier on the frozen encoder's features of augmented training images.

    Raises:
        UotaError: the batch cannot be shared by the devices, or the rate is too high for a finite loss.
    """
    decided = with_own_protocol(settings, subject.loaded)
    protocol = decided.effective()
    plan = linear_plan(decided, protocol)
    rank_zero_only(print)(_sentence(protocol))
    training = linear_training(protocol, plan, len(subject.train))
    classifier = Classifier(subject.encoder, subject.encoder.width, subject.classes, training)
    fit(classifier, subject.train, subject.test, subject.loaded.preset, plan, subject.folder / "linear-sgd", bar)
    return LinearSGDAccuracy(
        classifier.accuracy(1), classifier.accuracy(5), protocol.name, protocol.learning_rate, protocol.as_dict()
    )


def with_own_protocol(settings: LinearSGD, loaded: LoadedEncoder) -> LinearSGD:
    """Replace the protocol `auto` by that of the method of the encoder's run."""
    run = loaded.settings
    return settings.decided(run.method.name if run else None, run.arbitration.arbiter if run else None)


def linear_plan(settings: LinearSGD, protocol: LinearProtocol) -> Plan:
    """Build the plan of a protocol: its images and devices."""
    return Plan(
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        smallest_crop=protocol.smallest_crop,
        images_like=protocol.images_like,
        seed=settings.seed,
        workers=settings.workers,
        accelerator=settings.accelerator,
        devices=count_ranks(settings.devices, nodes=1),
        nodes=settings.nodes,
        views_on=settings.views_on,
    )


def linear_training(protocol: LinearProtocol, plan: Plan, images: int) -> Training:
    """Build the hyperparameters of a protocol for a number of training images."""
    epoch_steps, batch = epoch_steps_and_batch(images, plan)
    return Training(
        epochs=protocol.epochs,
        epoch_steps=epoch_steps,
        head_rate=protocol.learning_rate * batch / BATCH_OF_RATES,
        encoder_rate=None,
        schedule=protocol.schedule,
        optimizer=protocol.optimizer,
        weight_decay=protocol.weight_decay,
        momentum=protocol.momentum,
        initial=protocol.initial,
        seed=plan.seed,
    )


def _sentence(protocol: LinearProtocol) -> str:
    return (
        f"linear evaluation by the protocol {protocol.name} ({protocol.source}): {protocol.epochs} epochs, "
        f"batches of {protocol.batch_size}, learning rate {protocol.learning_rate:g} for {BATCH_OF_RATES} images"
    )
