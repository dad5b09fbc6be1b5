"""One run of `benchmarks.learns`: python -m benchmarks.on_device.learn METHOD DATA SEED ARM DEVICE FILE

Its line is written to FILE. On a card in full float32, so that it differs from a CPU's by no more than rounding.
"""

import json
import sys
from pathlib import Path

import torch

from benchmarks.learns import Run, measure


def main(method: str, data: str, seed: str, arm: str, device: str, file: str) -> None:
    torch.backends.cudnn.allow_tf32 = False
    Path(file).write_text(json.dumps(measure(Run(method, data, int(seed), arm, device))))


if __name__ == "__main__":
    main(*sys.argv[1:])
