"""Linear evaluation as papers publish it: SGD with a cosine on randomly cropped and mirrored images, encoder frozen.

100 epochs, batch 256 and learning rate 1.2 give the released UOTA's; SwAV's and Barlow Twins' have 0.3, MoCo's 30.
Those rates and crops are for a ResNet-50 on ImageNet; on small images `linear` may well find more.
"""

from dataclasses import dataclass

from uota.evaluation.classifier import Classifier, Sgd
from uota.evaluation.fit import fit, steps_and_batch
from uota.evaluation.subject import Subject
from uota.protocols import BATCH_OF_RATES, LinearSGD


@dataclass(frozen=True)
class LinearSGDAccuracy:
    """Accuracies in per cent after the last epoch, and the learning rate for 256 images."""

    top1: float
    top5: float
    learning_rate: float


def evaluate_linear_sgd(subject: Subject, settings: LinearSGD, bar: bool = True) -> LinearSGDAccuracy:
    """Train a linear classifier on the frozen encoder's features of augmented training images."""
    run = subject.found.settings
    rate = settings.rate(run.method if run else None, run.arbiter if run else None)
    steps, batch = steps_and_batch(len(subject.train), settings)
    sgd = Sgd(
        steps=steps,
        head_rate=rate * batch / BATCH_OF_RATES,
        encoder_rate=None,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        drops=(),
        seed=settings.seed,
    )
    classifier = Classifier(subject.encoder, subject.encoder.width, subject.classes, sgd)
    fit(classifier, subject.train, subject.test, subject.found.preset, settings, subject.folder / "linear-sgd", bar)
    return LinearSGDAccuracy(classifier.accuracy(1), classifier.accuracy(5), rate)
