"""`uota embed`: a table of images with their embeddings and the verdicts of a run's arbiter on their views."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from uota.arbitration import Arbiter
from uota.console import PROGRESS, printable
from uota.data import FolderOptions, Source, warn_left_out, warn_skipped
from uota.data.open import folder_options, open_images
from uota.distributed import in_turns, rank, world_size
from uota.encoders.encoder import FeatureEncoder
from uota.errors import UotaError
from uota.evaluation.features import batches, check_finite_features, images_of, tell_unreadable
from uota.io.atomic import atomic_write
from uota.io.csv_files import write_csv
from uota.io.outputs import check_writable, path_of
from uota.methods.embedded import Step
from uota.runs.encoder import check_no_run_options, load_encoder
from uota.runs.folder import check_output
from uota.runs.run import Run
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain, Reading
from uota.settings.ranges import RANGES, check_number
from uota.training.batches import resolve_workers
from uota.training.loader import Loader
from uota.training.module import Pretraining
from uota.training.resolve import resolve_auto
from uota.training.setup import load_module
from uota.views import ViewDataset, ViewPipeline, ViewPreset, Views, identity_collate
from uota.views.presets import preset_of

logger = logging.getLogger(__name__)

# Images that an arbiter compares with each other.
BATCH = 256
CHUNK = 4096  # rows written at once
Row = dict[str, Any]


@dataclass(frozen=True)
class ViewVerdicts:
    """An arbiter's verdicts on images, averaged over the views of each; NaN: no verdict."""

    mean_weight: NDArray[np.float32]
    outlier_probability: NDArray[np.float32]


@dataclass(frozen=True)
class _Subject:
    """The encoder of a table, the preprocessing of its images, and the run with its arbiter, if there is one."""

    encoder: Any
    preset: ViewPreset
    module: Pretraining | None
    width: int


def embed(spec: EncoderSpec, out: Path, data: str | None = None, seed: int = 0, reading: Reading | None = None) -> int:
    """Write a row for each readable image of both splits.

    The columns are `image`, the path of a file or the index within the split; `split`; `label` and `class`, empty for
    unlabelled images; `mean_weight` and `outlier_probability`, averaged over the image's views (the mean weight of a
    batch is 1), empty if there is no run, its arbiter does not give them or its views are of groups, for which there
    is `uota misfiled`; and `embedding`, the encoder's features of the whole image, which take one column each in
    a .csv file. There, text that a spreadsheet would run as a formula is escaped with an apostrophe. Several ranks
    share the images, and the first one writes.

    Args:
        spec: the encoder; that of a run comes with an arbiter.
        out: .parquet or .csv file to write.
        data: data set's name or folder of images; None: those the run was pretrained on.
        seed: seed of the views, and of the choice of images that are compared with each other.
        reading: how image files are read; None: as in the run.

    Returns:
        The number of rows.
    """
    if out.suffix not in WRITERS:
        raise UotaError(f"{out} is neither a .parquet nor a .csv file; give --out one of these suffixes")
    if out.suffix == ".parquet" and not find_spec("pyarrow"):
        raise UotaError("a .parquet file needs pyarrow: pip install 'uota[parquet]', or give a .csv file")
    check_number("seed", seed, RANGES["seed"])
    check_writable(out)
    if not path_of(spec.run).is_dir() and data is None:
        raise UotaError(f"{spec.run} is not a run; give the images with --data")
    settings = Run(path_of(spec.run)).settings() if path_of(spec.run).is_dir() else None
    source = data or (settings.data.source if settings else "")
    check_output(out, data=source)
    views = "auto" if data or settings is None else settings.views.preset
    sources = _splits(source, views, folder_options(settings, reading))
    if rank() == 0:
        warn_left_out(*sources.values())
    subject = _subject(spec, settings, next(iter(sources.values())))
    return _write(subject, sources, out, seed)


def _subject(spec: EncoderSpec, settings: Pretrain | None, source: Source) -> _Subject:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if settings is None:
        loaded = load_encoder(spec)
        return _Subject(loaded.encoder.to(device), loaded.preset, None, loaded.encoder.width)
    check_no_run_options(spec)
    settings = resolve_auto(settings, source, trained=True)
    module = load_module(Run(path_of(spec.run)), settings).to(device).eval()
    encoder = module.method.encoder
    assert isinstance(encoder, FeatureEncoder)
    return _Subject(encoder, preset_of(settings), module, encoder.width)


def _write(subject: _Subject, sources: dict[str, Source], out: Path, seed: int) -> int:
    """Write the table, and return its number of rows."""
    total = sum(len(source) for source in sources.values())
    with Progress(console=PROGRESS, disable=rank() > 0) as bar:
        scored = bar.add_task("views scored", total=total, visible=_arbiter_of(subject) is not None)
        embedded = bar.add_task("images embedded", total=total)
        verdicts = {
            split: _score_views(subject, source, seed, lambda count: bar.advance(scored, count))
            for split, source in sources.items()
        }
        rows = (row for split, source in sources.items() for row in _rows(subject, split, source, verdicts[split]))
        _write_on_first_rank(out, iter(bar.track(rows, task_id=embedded)), subject.width)
    tell_unreadable(*sources.values())
    if rank() == 0:
        warn_skipped(*sources.values())
        if subject.preset.across_images:
            logger.info("views of groups have no weights here; see uota misfiled RUN")
    return total - sum(int(source.unreadable(torch.arange(len(source))).sum()) for source in sources.values())


def _write_on_first_rank(out: Path, rows: Iterator[Row], width: int) -> None:
    """Write the rows, on the first rank; the others take part in computing them."""
    if rank():
        deque(rows, maxlen=0)
        return
    with atomic_write(out) as unfinished:
        WRITERS[out.suffix](unfinished, rows, width)


def _arbiter_of(subject: _Subject) -> Arbiter | None:
    """Return the run's arbiter; none for views of groups, which are not of a single image."""
    if subject.module is None or subject.preset.across_images:
        return None
    return subject.module.primary_arbiter


def _splits(data: str, views: str, options: FolderOptions) -> dict[str, Source]:
    """Open the training and test images, or a single source if the data has no splits."""
    train = open_images(data, views, "train", options)
    test = open_images(data, views, "test", replace(options, pixel_range=train.pixel_range))
    if train.path(0) is not None and train.path(0) == test.path(0):
        return {"all": train}
    return {"train": train, "test": test}


@torch.no_grad()
def _score_views(subject: _Subject, source: Source, seed: int, advance: Callable[[int], None]) -> ViewVerdicts:
    """Score the views of all images in random batches, so that classes mix."""
    verdicts = ViewVerdicts(*(np.full(len(source), np.nan, dtype=np.float32) for _ in range(2)))
    module, arbiter = subject.module, _arbiter_of(subject)
    if arbiter is None or module is None:
        return verdicts
    order = np.random.default_rng(seed).permutation(len(source))
    parts = np.array_split(order, max(1, round(len(source) / BATCH)))
    samples = [[(0, int(index)) for index in part] for part in parts]
    mine = samples[rank() :: world_size()]
    workers = resolve_workers(None, source.in_memory, world_size())
    dataset = ViewDataset(source, ViewPipeline(subject.preset, seed))
    made: Iterator[Views] = iter(
        Loader(dataset, workers, batch_sampler=mine, collate_fn=identity_collate) if mine else []
    )
    for index, weight, probability in in_turns(lambda _: _verdict(module, arbiter, next(made)), samples):
        verdicts.mean_weight[index] = weight
        if probability is not None:
            verdicts.outlier_probability[index] = probability
        advance(len(index))
    return verdicts


def _verdict(module: Pretraining, arbiter: Arbiter, views: Views) -> tuple[Any, Any, Any]:
    """Return the images of a batch, and the mean weight and outlier probability of the views of each, as arrays."""
    views = views.to(module.device)
    verdict = arbiter(module.arbiter_features(module.method.embed(views.by_size, Step())), progress=1.0)
    probability = verdict.outlier_probability
    means = [None if each is None else each.mean(0).cpu().numpy() for each in (verdict.weights, probability)]
    return views.index.cpu().numpy(), *means  # type: ignore[return-value]


def _rows(subject: _Subject, split: str, source: Source, verdicts: ViewVerdicts) -> Iterator[Row]:
    labels = None if source.labels is None else source.labels.tolist()
    classes = source.classes or []
    device = next(subject.encoder.parameters()).device

    @torch.no_grad()
    def embedded(places: range) -> tuple[range, Tensor, Tensor]:
        images = images_of(source, places, subject.preset)
        embeddings = subject.encoder(images.to(device)).float().cpu()
        return places, embeddings, source.unreadable(torch.tensor(places))

    for places, embeddings, unreadable in in_turns(embedded, batches(source)):
        found = check_finite_features(embeddings, source).numpy()
        for place in torch.nonzero(~unreadable)[:, 0].tolist():
            index = places[place]
            yield {
                "image": printable(source.path(index) or source.display_name(index)),
                "split": split,
                "label": labels[index] if labels and labels[index] >= 0 else None,
                "class": printable(classes[labels[index]]) if labels and 0 <= labels[index] < len(classes) else None,
                "mean_weight": _none_if_nan(verdicts.mean_weight[index]),
                "outlier_probability": _none_if_nan(verdicts.outlier_probability[index]),
                "embedding": found[place],
            }


def _none_if_nan(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def _write_csv(path: Path, rows: Iterator[Row], width: int) -> None:
    columns = [*list(COLUMNS)[:-1], *(f"embedding_{place}" for place in range(width))]
    write_csv(path, chain([columns], map(_flat, rows)))


def _flat(row: Row) -> list[Any]:
    *others, embedding = row.values()
    return [*others, *embedding.tolist()]


def _write_parquet(path: Path, rows: Iterator[Row], width: int) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    types = {name: getattr(pyarrow, kind)() for name, kind in COLUMNS.items() if name != "embedding"}
    schema = pyarrow.schema(types | {"embedding": pyarrow.list_(pyarrow.float32(), width)})
    with ParquetWriter(path, schema) as writer:
        for chunk in _chunks(rows):
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema))


COLUMNS = {
    "image": "string",
    "split": "string",
    "label": "int64",
    "class": "string",
    "mean_weight": "float32",
    "outlier_probability": "float32",
    "embedding": "",
}
WRITERS: dict[str, Callable[[Path, Iterator[Row], int], None]] = {".csv": _write_csv, ".parquet": _write_parquet}


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
