"""Evaluation of an encoder by a named protocol, with the result written to a file."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from uota.console import printable
from uota.data import FolderOptions, Source, labels_of, open_source, warn_left_out, warn_skipped
from uota.data.open import folder_options, open_images
from uota.distributed import rank
from uota.errors import UotaError
from uota.evaluation.features import Features, encoder_features
from uota.evaluation.finetune import evaluate_finetune, result_name
from uota.evaluation.knn import evaluate_knn_of_two
from uota.evaluation.labels import evaluated_images
from uota.evaluation.linear import check_can_hold_out, evaluate_linear
from uota.evaluation.linear_sgd import evaluate_linear_sgd, with_own_protocol
from uota.evaluation.subject import LabelledEncoder
from uota.io.atomic import write_text_atomically
from uota.io.outputs import check_writable, path_of
from uota.runs.encoder import LoadedEncoder, load_encoder
from uota.runs.run import Run
from uota.settings.evaluation import SETTINGS, EncoderSpec, Finetune, LinearSGD
from uota.settings.pretrain import Pretrain, Reading
from uota.training.launch import resolve_devices
from uota.training.resolve import resolve_auto


def evaluate(
    protocol: str,
    spec: EncoderSpec,
    settings: Any = None,
    data: str | None = None,
    out: str | None = None,
    reading: Reading | None = None,
) -> Any:
    """Evaluate an encoder on labelled images, and write the result to PROTOCOL.json (finetune-10.json for 10 %).

    Args:
        protocol: name in `PROTOCOLS`.
        spec: the encoder to load.
        settings: settings of the protocol, of the type in `uota.settings.evaluation.SETTINGS`; None: its defaults.
        data: labelled images; None: those the run was pretrained on.
        out: folder of the result; None: the run's.
        reading: how image files are read; None: as in the run.

    Returns:
        The accuracies. None on all processes but the first where these share the computation of features.

    Raises:
        UotaError: the encoder, the images or the folder is unavailable.
    """
    settings = SETTINGS[protocol][0]() if settings is None else settings
    name = result_name(settings) if isinstance(settings, Finetune) else protocol
    _check_writable(spec, out, name)
    if isinstance(settings, LinearSGD | Finetune):
        devices, nodes = resolve_devices(settings.accelerator, settings.devices, settings.nodes)
        settings = replace(settings, devices=devices, nodes=nodes)
    loaded = load_encoder(spec)
    if isinstance(settings, LinearSGD):  # the result names the protocol
        settings = with_own_protocol(settings, loaded)
    subject = _subject(loaded, data, out, reading)
    result = PROTOCOLS[protocol](subject, settings)
    if result is None:
        return None
    run = loaded.settings
    written = {
        "protocol": protocol,
        "encoder": loaded.name,
        "backbone": loaded.backbone,
        "data": subject.train.name,
        "epochs": run.optimization.epochs if run else None,
        "steps": run.optimization.steps if run else None,
        **asdict(result),
        "settings": asdict(settings),
    }
    rank_zero_only(write_text_atomically)(subject.folder / f"{name}.json", json.dumps(written, indent=1))
    rank_zero_only(warn_skipped)(subject.train, subject.test)
    return result


def protocols_for(run: Run) -> list[str]:
    """Return which of knn and linear can evaluate a run on its own images: those that their labels suffice for."""
    settings = run.settings()
    try:
        train, test = _labelled_splits(settings, None, folder_options(settings))
        train, _, _ = evaluated_images(train, test)
    except UotaError:
        return []
    try:
        check_can_hold_out(labels_of(train))
    except UotaError:
        return ["knn"]
    return ["knn", "linear"]


def _check_writable(spec: EncoderSpec, out: str | None, name: str) -> None:
    """Check that the result can be written, before the encoder is loaded; `_subject` rejects folders without a run."""
    folder = path_of(spec.run if out is None else out)
    if out is not None or folder.is_dir():
        check_writable(folder / f"{name}.json")


def _subject(loaded: LoadedEncoder, data: str | None, out: str | None, reading: Reading | None) -> LabelledEncoder:
    run = loaded.settings
    if run is None and (data is None or out is None):
        raise UotaError(f"{loaded.name} is not a run; give labelled images with --data and a folder with --out")
    options = folder_options(run, reading)
    train, test = _labelled_splits(run, data, options)
    rank_zero_only(warn_left_out)(train, test)
    if run:
        resolve_auto(run, train, trained=True)
    train, test, notes = evaluated_images(train, test)
    for note in notes:
        rank_zero_only(print)(printable(note))
    return LabelledEncoder(loaded, train, test, path_of(loaded.name if out is None else out))


def _labelled_splits(run: Pretrain | None, data: str | None, options: FolderOptions) -> tuple[Source, Source]:
    train = _images(run, data, "train", options)
    # The pixel range estimated on the training images also applies to the test images.
    return train, _images(run, data, "test", replace(options, pixel_range=train.pixel_range))


def _images(run: Pretrain | None, data: str | None, split: str, options: FolderOptions) -> Source:
    if run is None or data is not None:
        return open_source(data or "", split, options)
    return open_images(run.data.source, run.views.preset, split, options)


def _on_features(
    evaluated: Callable[[Features, Features], Any], check: Callable[[Tensor], None] | None = None
) -> Callable[[LabelledEncoder, Any], Any]:
    """Make a protocol from a function of features; the training labels are checked before features are computed."""

    def protocol(subject: LabelledEncoder, settings: Any) -> Any:
        encoder, preset = subject.encoder, subject.loaded.preset
        if check:
            check(labels_of(subject.train))
        train, test = (encoder_features(encoder, source, preset) for source in (subject.train, subject.test))
        return None if rank() else evaluated(train, test)

    return protocol


PROTOCOLS: dict[str, Callable[[LabelledEncoder, Any], Any]] = {
    "linear": _on_features(evaluate_linear, check_can_hold_out),
    "knn": _on_features(evaluate_knn_of_two),
    "linear-sgd": evaluate_linear_sgd,
    "finetune": evaluate_finetune,
}
