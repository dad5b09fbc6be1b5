"""Semi-supervised evaluation: the whole network is fine-tuned on few labels, the same number of each class.

The defaults are those of SwAV's released code (facebookresearch/swav, eval_semisup.py) for 1 % and 10 % of ImageNet:
20 epochs, batches of 256, separate learning rates of encoder and classifier, both multiplied by 0.2 after 60 % and 80 %
of training. SwAV's subsets are fixed lists of files; here a seed chooses them. On a small data set this makes few
steps, so train for more epochs with a lower learning rate of the classifier.
"""

from dataclasses import dataclass

from uota.evaluation.classifier import Classifier, Training
from uota.evaluation.fit import Plan, epoch_steps_and_batch, fit
from uota.evaluation.labels import Part, balanced_share
from uota.evaluation.subject import LabelledEncoder
from uota.settings.evaluation import Finetune
from uota.settings.linear_protocols import BATCH_OF_RATES, Cosine, Drops
from uota.settings.ranges import count_ranks

DROP = 0.2


@dataclass(frozen=True)
class FinetuneAccuracy:
    """Accuracies in per cent after the last epoch, and the number of labelled images used for training."""

    top1: float
    top5: float
    labels: str
    images: int


def evaluate_finetune(subject: LabelledEncoder, settings: Finetune, bar: bool = True) -> FinetuneAccuracy:
    """Train encoder and classifier on a balanced share of the training images."""
    assert subject.train.labels is not None
    share = float(settings.labels.removesuffix("%")) / 100
    part = Part(subject.train, balanced_share(subject.train.labels, share, settings.seed))
    plan = finetune_plan(settings)
    training = finetune_training(settings, plan, len(part))
    classifier = Classifier(subject.encoder, subject.encoder.width, subject.classes, training)
    folder = subject.folder / result_name(settings)
    fit(classifier, part, subject.test, subject.loaded.preset, plan, folder, bar)
    return FinetuneAccuracy(classifier.accuracy(1), classifier.accuracy(5), settings.labels, len(part))


def finetune_plan(settings: Finetune) -> Plan:
    """Build the plan of fine-tuning: its images and devices."""
    return Plan(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        smallest_crop=settings.smallest_crop,
        images_like="torchvision",
        seed=settings.seed,
        workers=settings.workers,
        accelerator=settings.accelerator,
        devices=count_ranks(settings.devices, nodes=1),
        nodes=settings.nodes,
        views_on=settings.views_on,
    )


def finetune_training(settings: Finetune, plan: Plan, images: int) -> Training:
    """Build the hyperparameters of fine-tuning on a number of labelled images."""
    epoch_steps, batch = epoch_steps_and_batch(images, plan)
    encoder_rate, head_rate = (rate * batch / BATCH_OF_RATES for rate in settings.rates())
    return Training(
        epochs=settings.epochs,
        epoch_steps=epoch_steps,
        head_rate=head_rate,
        encoder_rate=encoder_rate,
        schedule=Drops(DROP, tuple(settings.drops)) if settings.drops else Cosine("step"),
        optimizer="sgd",
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        initial="uniform",  # PyTorch's default, as SwAV's network has it
        seed=settings.seed,
    )


def result_name(settings: Finetune) -> str:
    """Return the name of the result's file and of the checkpoint's folder."""
    return f"finetune-{settings.labels.removesuffix('%')}"
