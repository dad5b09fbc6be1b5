"""SwAV from the command line on an accelerator: python -m benchmarks.on_device.smoke ARBITER PRECISION FILE [--tiny]

`uota pretrain` takes some hundred steps on the demo scenes; then the checkpoint is evaluated with kNN in a process that
sees no accelerator. The result is one line in FILE.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.command_line import make_parser, start
from benchmarks.images import write_pictures

NO_CARD = {"CUDA_VISIBLE_DEVICES": ""}


def uota(*arguments: str, card: bool) -> float:
    """Run a command of the package and return its seconds."""
    began = time.monotonic()
    environment = dict(os.environ) | ({} if card else NO_CARD)
    subprocess.run([sys.executable, "-m", "uota", *arguments], env=environment, check=True)
    return round(time.monotonic() - began, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, evaluate and write the line."""
    parser = make_parser("on_device.smoke", __doc__, measures=False)
    parser.add_argument("arbiter", choices=("none", "mahalanobis", "two_groups", "learned"))
    parser.add_argument("precision", choices=("32", "bf16"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--tiny", action="store_true", help="train on a few pictures, on the CPU")
    asked = parser.parse_args(arguments)
    settings = ["--config", "swav_demo", "--arbiter", asked.arbiter, "--precision", asked.precision]
    with TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        if asked.tiny:
            pictures = write_pictures(Path(folder) / "pictures", 48, side=32)
            settings += ["--data", str(pictures), "--epochs", "1", "--batch_size", "16", "--workers", "0"]
        settings += ["--accelerator", "cpu" if asked.tiny else "gpu"]
        trained = uota("pretrain", *settings, "--out", run, card=not asked.tiny)
        evaluated = uota("evaluate", "knn", run, card=False)
        top1 = json.loads((Path(run) / "knn.json").read_text())["top1"]
    row = {"part": "smoke", "arbiter": asked.arbiter, "precision": asked.precision, "knn": round(top1, 2)}
    asked.file.write_text(json.dumps(row | {"train_seconds": trained, "evaluate_seconds": evaluated}))


if __name__ == "__main__":
    start(main)
