"""Evaluate a run by a protocol's name, and write what came out into the run."""

import json
from collections.abc import Callable
from dataclasses import asdict

from uota.data import open_source
from uota.evaluation.features import Features, encoder_features
from uota.evaluation.knn import Knn, evaluate_knn
from uota.evaluation.linear import Linear, evaluate_linear
from uota.runs import Run, load_encoder, write_atomically
from uota.training.build import check_channels, choose_backbone, choose_preset

PROTOCOLS: dict[str, Callable[[Features, Features], Linear | Knn]] = {"linear": evaluate_linear, "knn": evaluate_knn}


def evaluate_run(run: Run, protocol: str, data: str | None = None) -> Linear | Knn:
    """Accuracy of a run's encoder on labelled images, written to PROTOCOL.json in the run.

    Args:
        run: from pretraining.
        protocol: linear or knn.
        data: labelled images; None: those the run was pretrained on.
    """
    settings = run.settings()
    train, test = (open_source(data or settings.data, split=split) for split in ("train", "test"))
    preset = choose_preset(settings, open_source(settings.data, split="train").name)
    check_channels(train, preset)
    encoder = load_encoder(run, preset, choose_backbone(settings, preset))
    evaluate = PROTOCOLS[protocol]
    result = evaluate(encoder_features(encoder, train, preset), encoder_features(encoder, test, preset))
    written = {"protocol": protocol, "data": train.name, "epochs": settings.epochs} | asdict(result)
    write_atomically(run.folder / f"{protocol}.json", json.dumps(written, indent=1))
    return result
