"""Does every method learn, with and without arbitration: python -m benchmarks.learns [METHOD[:DATA]...]

For each method its small recipe for the demo data (`uota/recipes/*_demo.yaml`) is trained twice, side by side, a core
each: without an arbiter and with the learned one on features; beside them an untrained encoder of the same shape. One
line each, after four minutes, to benchmarks/results/learns.jsonl; those that are there already are not run again.
"""

import csv
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lines import use_one_core
from uota.config import Pretrain
from uota.evaluation.evaluate import evaluate
from uota.methods import METHODS
from uota.nn.encoder import Encoder
from uota.protocols import Origin
from uota.recipes import recipe
from uota.training.pretrain import pretrain

OUT = Path(__file__).parent / "results/learns.jsonl"
# Beside CMC, which needs colour, and whose recipe says so.
IN_COLOUR = ("simclr:demo-scenes-colour",)


def train(settings: Pretrain) -> dict[str, float]:
    """Pretrain and evaluate: top-1 in per cent, effective rank of the embeddings, seconds of training.

    Those of the processor too, of which a busy machine takes none away.
    """
    use_one_core()
    with TemporaryDirectory() as folder:
        began, worked = time.monotonic(), time.process_time()
        run = pretrain(settings, Path(folder), overwrite=True, bar=False, lines=False)
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - worked}
        (log,) = (Path(folder) / "logs").glob("*/metrics.csv")
        ranks = [row["rankme"] for row in csv.DictReader(log.read_text().splitlines()) if row["rankme"]]
        top1 = {protocol: round(evaluate(protocol, Origin(str(run.folder))).top1, 2) for protocol in ("linear", "knn")}
    return top1 | {"rankme": round(float(ranks[-1]), 1)} | {name: round(value) for name, value in spent.items()}


def measure(name: str, data: str, pool: ProcessPoolExecutor) -> dict:
    """A row: untrained, without and with arbitration, of the same encoder and views."""
    without = replace(recipe(f"{name}_demo"), data=data, arbiter="none", threads=1, accelerator="cpu")
    settings = {
        "without": without,
        "with": replace(without, arbiter="learned", look="features"),
        "untrained": replace(without, method="random", method_options={}, epochs=1),
    }
    if METHODS[name].encoder is not Encoder:  # that of "random"
        settings["untrained"] = replace(without, learning_rate=0.0, weight_decay=0.0, epochs=1)
    results = dict(zip(settings, pool.map(train, settings.values()), strict=True))
    gain = results["without"]["linear"] - results["untrained"]["linear"]
    return {"method": name, "data": without.data, "epochs": without.epochs, **results, "learned": round(gain, 2)}


def main(names: list[str]) -> None:
    rows = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    done = {(row["method"], row["data"]) for row in rows}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for asked in names or [*(name for name in METHODS if name != "random"), *IN_COLOUR]:
            name, _, data = asked.partition(":")
            data = data or recipe(f"{name}_demo").data
            if (name, data) not in done:
                row = json.dumps(measure(name, data, pool))
                with OUT.open("a") as file:
                    file.write(row + "\n")
                print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
