"""SwAV on the card from the command line: python -m benchmarks.on_device.smoke ARBITER PRECISION FILE [tiny]

`uota pretrain` on the demo scenes, some hundred steps; then the checkpoint is loaded where no card is visible, and kNN
evaluated. A line goes to FILE.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

NO_CARD = {"CUDA_VISIBLE_DEVICES": ""}


def uota(*arguments: str, card: bool) -> float:
    """Seconds that a command of the package takes."""
    began = time.monotonic()
    environment = dict(os.environ) | ({} if card else NO_CARD)
    subprocess.run([sys.executable, "-m", "uota", *arguments], env=environment, check=True)
    return round(time.monotonic() - began, 1)


def main(arbiter: str, precision: str, file: str, tiny: str = "") -> None:
    settings = ["--config", "swav_demo", "--arbiter", arbiter, "--precision", precision]
    settings += ["--accelerator", "cpu", "--epochs", "1", "--local_views", "0"] if tiny else ["--accelerator", "gpu"]
    with TemporaryDirectory() as folder:
        trained = uota("pretrain", *settings, "--out", folder, "--overwrite", card=not tiny)
        evaluated = uota("evaluate", "knn", folder, card=False)
        top1 = json.loads((Path(folder) / "knn.json").read_text())["top1"]
    row = {"part": "smoke", "arbiter": arbiter, "precision": precision, "knn": round(top1, 2)}
    Path(file).write_text(json.dumps(row | {"train_seconds": trained, "evaluate_seconds": evaluated}))


if __name__ == "__main__":
    main(*sys.argv[1:])
