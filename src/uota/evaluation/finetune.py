"""Semi-supervised evaluation: the whole network trained on few labels, the same number of each class.

20 epochs, batch 256, rates of the encoder and of the classifier apart, both times 0.2 after 60 % and 80 % of training:
as SwAV's released code with 1 % and 10 % of ImageNet (whose subsets are lists of files; here a seed chooses).
Of a small data set that makes few steps: give it more epochs, and the classifier a lower rate.
"""

from dataclasses import dataclass

from uota.evaluation.classifier import Classifier, Sgd
from uota.evaluation.fit import fit, steps_and_batch
from uota.evaluation.labels import Part, balanced_share
from uota.evaluation.subject import Subject
from uota.protocols import BATCH_OF_RATES, Finetune


@dataclass(frozen=True)
class FinetuneAccuracy:
    """Accuracies in per cent after the last epoch, and how many labelled images were trained on."""

    top1: float
    top5: float
    labels: str
    images: int


def evaluate_finetune(subject: Subject, settings: Finetune, bar: bool = True) -> FinetuneAccuracy:
    """Train encoder and classifier on a balanced share of the training images."""
    assert subject.train.labels is not None
    share = float(settings.labels.removesuffix("%")) / 100
    part = Part(subject.train, balanced_share(subject.train.labels, share, settings.seed))
    steps, batch = steps_and_batch(len(part), settings)
    encoder_rate, head_rate = (rate * batch / BATCH_OF_RATES for rate in settings.rates())
    sgd = Sgd(
        steps=steps,
        head_rate=head_rate,
        encoder_rate=encoder_rate,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        drops=tuple(settings.drops),
        seed=settings.seed,
    )
    classifier = Classifier(subject.encoder, subject.encoder.width, subject.classes, sgd)
    folder = subject.folder / result_name(settings)
    fit(classifier, part, subject.test, subject.found.preset, settings, folder, bar)
    return FinetuneAccuracy(classifier.accuracy(1), classifier.accuracy(5), settings.labels, len(part))


def result_name(settings: Finetune) -> str:
    """Of the file of the result and the folder of the checkpoint."""
    return f"finetune-{settings.labels.removesuffix('%')}"
