"""One run of `benchmarks.learns`: python -m benchmarks.on_device.learn METHOD DATA SEED ARM DEVICE FILE [--tiny]

The line of the run is written to FILE. The accelerator computes in full float32, so that its results differ from those
of a CPU only by rounding.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.command_line import make_parser, start
from benchmarks.learns import ARMS, Run, measure


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the run, and write its line."""
    parser = make_parser("on_device.learn", __doc__, measures=False)
    parser.add_argument("method")
    parser.add_argument("data")
    parser.add_argument("seed", type=int)
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("device", choices=("cpu", "cuda"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--tiny", action="store_true", help="train on a few pictures instead of the data")
    asked = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = False
    run = Run(asked.method, asked.data, asked.seed, asked.arm, asked.device)
    asked.file.write_text(json.dumps(measure(run, asked.tiny)))


if __name__ == "__main__":
    start(main)
