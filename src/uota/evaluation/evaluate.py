"""Evaluate a run by a protocol's name, and write what came out into the run."""

import json
from collections.abc import Callable
from dataclasses import asdict

from uota.config import Pretrain
from uota.data import Groups, Source, open_source, say_skipped
from uota.evaluation.features import Features, encoder_features
from uota.evaluation.knn import Knn, evaluate_knn
from uota.evaluation.linear import Linear, evaluate_linear
from uota.runs import Run, load_part, write_atomically
from uota.training.build import build_method, decide, open_items, preset_of

PROTOCOLS: dict[str, Callable[[Features, Features], Linear | Knn]] = {"linear": evaluate_linear, "knn": evaluate_knn}


def evaluate_run(run: Run, protocol: str, data: str | None = None) -> Linear | Knn:
    """Accuracy of a run's encoder on labelled images, written to PROTOCOL.json in the run.

    Args:
        run: from pretraining.
        protocol: linear or knn.
        data: labelled images; None: those the run was pretrained on.
    """
    settings = run.settings()
    train, test = (open_source(data, split) if data else _images(settings, split) for split in ("train", "test"))
    settings = decide(settings, train)
    preset = preset_of(settings)
    encoder = build_method(settings).encoder
    load_part(encoder, run, "method.encoder")
    evaluate = PROTOCOLS[protocol]
    result = evaluate(encoder_features(encoder, train, preset), encoder_features(encoder, test, preset))
    written = {"protocol": protocol, "data": train.name, "epochs": settings.epochs} | asdict(result)
    write_atomically(run.folder / f"{protocol}.json", json.dumps(written, indent=1))
    say_skipped(train, test)
    return result


def _images(settings: Pretrain, split: str) -> Source:
    """The run's own images; of groups, the files of whole groups."""
    source = open_items(settings.data, settings.views, split)
    return source.files if isinstance(source, Groups) else source
