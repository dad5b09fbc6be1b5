"""`uota embed`: a table of images with their embeddings and the verdicts of a run's arbiter on their views."""

import logging
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

from uota.arbitration import Arbiter
from uota.console import PROGRESS, printable
from uota.data import FolderOptions, Source, warn_left_out, warn_skipped
from uota.data.open import folder_options, open_images
from uota.encoders.encoder import FeatureEncoder
from uota.errors import UotaError
from uota.evaluation.features import batches
from uota.io.atomic import atomic_write
from uota.io.csv_files import write_csv
from uota.io.outputs import check_writable
from uota.methods.embedded import Step
from uota.runs.folder import check_output
from uota.runs.run import Run, load_part
from uota.settings.pretrain import Reading
from uota.settings.ranges import RANGES, check_number
from uota.training.arbiter_inputs import arbiter_input
from uota.training.batches import resolve_workers
from uota.training.loader import Loader
from uota.training.module import Pretraining
from uota.training.resolve import resolve_auto
from uota.training.setup import build_module
from uota.views import ViewDataset, ViewPipeline, ViewPreset, identity_collate
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


def embed(run_folder: Path, out: Path, data: str | None = None, seed: int = 0, reading: Reading | None = None) -> int:
    """Write a row for each readable image of both splits.

    The columns are `image`, the path of a file or the index within the split; `split`; `label` and `class`, empty for
    unlabelled images; `mean_weight` and `outlier_probability`, averaged over the image's views (the mean weight of a
    batch is 1), empty if the run's arbiter does not give them or its views are of groups, for which there is
    `uota inspect --files`; and `embedding`, the encoder's features of the whole image, which take one column each in
    a .csv file. There, text that a spreadsheet would run as a formula is escaped with an apostrophe.

    Args:
        run_folder: folder of the run whose encoder and arbiter are used.
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
    run = Run(run_folder)
    settings = run.settings()
    check_output(out, data=data or settings.data.source)
    views = "auto" if data else settings.views.preset
    sources = _splits(data or settings.data.source, views, folder_options(settings, reading))
    warn_left_out(*sources.values())
    settings = resolve_auto(settings, next(iter(sources.values())), trained=True)
    preset = preset_of(settings)
    module = build_module(settings, total_steps=1)
    load_part(module, run)
    module.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    total = sum(len(source) for source in sources.values())
    encoder = module.method.encoder
    assert isinstance(encoder, FeatureEncoder)
    with Progress(console=PROGRESS) as bar, atomic_write(out) as unfinished:
        scored = bar.add_task("views scored", total=total, visible=_arbiter_of(module, preset)[0] is not None)
        embedded = bar.add_task("images embedded", total=total)
        verdicts = {
            split: _score_views(module, source, preset, seed, lambda count: bar.advance(scored, count))
            for split, source in sources.items()
        }
        rows = (
            row for split, source in sources.items() for row in _rows(module, split, source, preset, verdicts[split])
        )
        WRITERS[out.suffix](unfinished, iter(bar.track(rows, task_id=embedded)), encoder.width)
    warn_skipped(*sources.values())
    if preset.across_images:
        logger.info(f"views of groups have no weights here; see uota inspect {printable(run.folder)} --files FILES.csv")
    return total - sum(int(source.unreadable(torch.arange(len(source))).sum()) for source in sources.values())


def _arbiter_of(module: Pretraining, preset: ViewPreset) -> tuple[Arbiter | None, str]:
    """Return the run's arbiter and its input; no arbiter for views of groups, which are not of a single image."""
    arbiter, looks_at = module.arbiter_and_input()
    return None if preset.across_images else arbiter, looks_at


def _splits(data: str, views: str, options: FolderOptions) -> dict[str, Source]:
    """Open the training and test images, or a single source if the data has no splits."""
    train = open_images(data, views, "train", options)
    test = open_images(data, views, "test", replace(options, pixel_range=train.pixel_range))
    if train.path(0) is not None and train.path(0) == test.path(0):
        return {"all": train}
    return {"train": train, "test": test}


@torch.no_grad()
def _score_views(
    module: Pretraining, source: Source, preset: ViewPreset, seed: int, advance: Callable[[int], None]
) -> ViewVerdicts:
    """Score the views of all images in random batches, so that classes mix."""
    verdicts = ViewVerdicts(*(np.full(len(source), np.nan, dtype=np.float32) for _ in range(2)))
    arbiter, looks_at = _arbiter_of(module, preset)
    if arbiter is None:
        return verdicts
    order = np.random.default_rng(seed).permutation(len(source))
    parts = np.array_split(order, max(1, round(len(source) / BATCH)))
    samples = [[(0, int(index)) for index in part] for part in parts]
    workers = resolve_workers(None, source.in_memory)
    dataset = ViewDataset(source, ViewPipeline(preset, seed))
    for views in Loader(dataset, workers, batch_sampler=samples, collate_fn=identity_collate):
        views = views.to(module.device)
        verdict = arbiter(arbiter_input(looks_at, module.method.embed(views.by_size, Step())), progress=1.0)
        index = views.index.cpu().numpy()
        verdicts.mean_weight[index] = verdict.weights.mean(0).cpu()
        if verdict.outlier_probability is not None:
            verdicts.outlier_probability[index] = verdict.outlier_probability.mean(0).cpu()
        advance(len(index))
    return verdicts


def _rows(module: Pretraining, split: str, source: Source, preset: ViewPreset, verdicts: ViewVerdicts) -> Iterator[Row]:
    labels = None if source.labels is None else source.labels.tolist()
    classes = source.classes or []
    first = 0
    for images in batches(source, preset):
        with torch.no_grad():
            embeddings = module.method.encoder(images.to(module.device)).float().cpu().numpy()
        places = torch.arange(len(embeddings))
        for place in places[~source.unreadable(first + places)].tolist():
            index = first + place
            yield {
                "image": printable(source.path(index) or source.display_name(index)),
                "split": split,
                "label": labels[index] if labels and labels[index] >= 0 else None,
                "class": printable(classes[labels[index]]) if labels and 0 <= labels[index] < len(classes) else None,
                "mean_weight": _none_if_nan(verdicts.mean_weight[index]),
                "outlier_probability": _none_if_nan(verdicts.outlier_probability[index]),
                "embedding": embeddings[place],
            }
        first += len(embeddings)


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
