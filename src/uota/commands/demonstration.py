"""`make demo`: what arbitration is worth on the embedded scenes, in minutes."""

import json
import multiprocessing
import sys
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from uota.console import make_streams_tolerant, printable, show_messages
from uota.data import open_source
from uota.errors import UotaError
from uota.evaluation import Features, encoder_features, evaluate_knn, evaluate_linear, pixel_features
from uota.inspection import inspect
from uota.io.atomic import write_text_atomically
from uota.methods.build import build_method
from uota.runs.folder import require_free
from uota.runs.run import Run, load_part
from uota.settings.pretrain import DEMO_EPOCHS, Pretrain
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto
from uota.views.presets import preset_of

WITHOUT, WITH = "SwAV", "SwAV + arbitration"


def run_demo(out: Path, seed: int, epochs: int = DEMO_EPOCHS) -> dict[str, dict[str, float]]:
    """Pretrain twice side by side, one core each; evaluate beside an untrained encoder and raw pixels; draw the views.

    Returns:
        For each row of the table linear and knn top-1 in per cent.
    """
    console = Console(highlight=False)
    began = time.monotonic()
    plain = Pretrain.from_flat(arbiter="none", seed=seed, epochs=epochs, threads=1, accelerator="cpu")
    # Here features told better than thumbnails, the default, before those had edges (benchmarks/telling_outliers.py).
    arbitrated = plain.replace_flat(arbiter="learned", eyes="features")
    jobs = {WITHOUT: (plain, out / "plain"), WITH: (arbitrated, out / "arbitrated")}
    for _, folder in jobs.values():
        require_free(folder, overwrite=True)
    console.print(
        f"pretraining twice on demo-scenes, {epochs} epochs, side by side; the lines are the run with arbitration"
    )
    _side_by_side(list(jobs.values()))
    rows = {"raw pixels": None, "untrained encoder": None} | {name: Run(folder) for name, (_, folder) in jobs.items()}
    table = {name: _accuracies(name, run, plain) for name, run in rows.items()}
    found = inspect(model=Run(out / "arbitrated"), other_runs=[Run(out / "plain")], seed=seed)
    picture, page = found.save(out / "views.png"), found.save(out / "inspect.html")
    write_text_atomically(out / "demo.json", json.dumps({"seed": seed, "epochs": epochs, "top1": table}, indent=1))
    _print_table(console, table)
    console.print(
        f"runs      {out / 'plain'}, {out / 'arbitrated'}\ntable     {out / 'demo.json'}\n"
        f"picture   {picture}\npage      {page}"
    )
    console.print(f"{time.monotonic() - began:.0f} s. Much of a gain at this length is learning faster.")
    return table


def _side_by_side(jobs: list[tuple[Pretrain, Path]]) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_pretrain_once, args=job) for job in jobs]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        _stop(processes)
    if any(process.exitcode for process in processes):
        raise UotaError("one of the two pretraining runs failed; its message is above")


def _stop(processes: list[SpawnProcess]) -> None:
    """Have those end that still train, after they have saved."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join()


def _pretrain_once(settings: Pretrain, out: Path) -> None:
    make_streams_tolerant()
    torch.set_num_threads(1)
    try:
        with show_messages():
            pretrain(settings, out, overwrite=True, bar=False, lines=settings.arbitration.arbiter != "none")
    except UotaError as error:
        print(f"uota: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(error.code) from error


def _accuracies(name: str, run: Run | None, settings: Pretrain) -> dict[str, float]:
    train, test = _features(name, run, settings)
    return {"linear": evaluate_linear(train, test).top1, "knn": evaluate_knn(train, test).top1}


def _features(name: str, run: Run | None, settings: Pretrain) -> tuple[Features, Features]:
    train, test = (open_source(settings.data.source, split=split) for split in ("train", "test"))
    settings = resolve_auto(settings, train)
    preset = preset_of(settings)
    if name == "raw pixels":
        return pixel_features(train, preset), pixel_features(test, preset)
    encoder = build_method(settings).encoder
    if run:
        load_part(encoder, run, "method.encoder")
    return encoder_features(encoder, train, preset), encoder_features(encoder, test, preset)


def _print_table(console: Console, table: dict[str, dict[str, float]]) -> None:
    shown = Table("top-1, %", "linear", "kNN")
    for name, accuracy in table.items():
        shown.add_row(name, f"{accuracy['linear']:.1f}", f"{accuracy['knn']:.1f}")
    console.print(shown)
