"""Ten kills, none of which changes the result: python -m benchmarks.kill  (a few minutes)

A pretraining run that writes a checkpoint in every step is killed (SIGKILL) at random moments and resumed; then the
evaluation of its encoder by linear-sgd is treated alike. Weights and accuracies must equal those of an undisturbed run
bit by bit. Each kill, and the step that it interrupted, is written to benchmarks/results/kill.json.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import write_pictures
from uota.runs.run import Run

RESULT = RESULTS / "kill.json"
MOMENTS = {
    "pretrain": ["start", "step", "write", "step", "write", "step"],
    "evaluate": ["start", "step", "step", "step"],
}
UOTA = [sys.executable, "-m", "uota"]
PRETRAIN = "--views small --batch_size 32 --checkpoint_every 1 --accelerator cpu --threads 1 --workers 0"
EVALUATE = "--epochs 400 --batch_size 16 --accelerator cpu --workers 0"
SIDE = 48


class Size(NamedTuple):
    """How large the runs are, and when they are killed.

    Attributes:
        pictures: to train on.
        epochs: passes of pretraining.
        moments: when processes are killed, of each command.
        seconds: how much later than these moments, at most.
    """

    pictures: int
    epochs: int
    moments: dict[str, list[str]]
    seconds: float


FULL = Size(160, 30, MOMENTS, 2.0)
# 10 steps, and a kill as soon as the first has been written.
TINY = Size(32, 10, {"pretrain": ["step"], "evaluate": []}, 0.0)


def run(command: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True)


def kill_at(moment: str, command: list[str], checkpoint: Path, after: float) -> dict[str, object]:
    """Start a command, wait for a moment, and kill the process.

    Args:
        moment: "start" counts `after` from the start, "step" from the first checkpoint that the process writes, and
            "write" waits after that until it is seen to write one.
        command: the command to start.
        checkpoint: the checkpoint that it writes.
        after: seconds.
    """
    began = time.time()
    unfinished = checkpoint.with_name(f".unfinished.{checkpoint.name}")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while moment != "start" and not (checkpoint.exists() and checkpoint.stat().st_mtime > began):
        _still_running(process)
        time.sleep(0.01)
    time.sleep(after)
    while moment == "write" and not unfinished.exists():
        _still_running(process)
    _still_running(process)
    process.kill()
    process.wait()
    step = torch.load(checkpoint, weights_only=True)["global_step"] if checkpoint.exists() else None
    return {"moment": moment, "after": round(after, 2), "step": step, "unfinished_file": unfinished.exists()}


def _still_running(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise SystemExit(f"{process.args} ended with {process.returncode} before it could be killed; make it longer")


def disturb(what: str, size: Size, begin: list[str], resume: list[str], checkpoint: Path) -> list[dict[str, object]]:
    """Kill a command at each of its moments, resume it every time, and finally let it end."""
    kills, delays = [], random.Random(0)
    for moment in size.moments[what]:
        started = (checkpoint.parent / "settings.json").exists()
        command = resume if started else begin
        kills.append({"killed": what} | kill_at(moment, command, checkpoint, delays.uniform(0, size.seconds)))
        print(kills[-1], flush=True)
    run(resume)
    return kills


def assert_same(one: Path, other: Path) -> None:
    """End the benchmark unless both runs have the same weights."""
    expected, found = (Run(folder).state()["state_dict"] for folder in (one, other))
    for name, value in expected.items():
        if isinstance(value, torch.Tensor) and not torch.equal(value, found[name]):
            raise SystemExit(f"{name} differs after kills")


def accuracy(run: Path) -> dict[str, object]:
    """Read the accuracies of an evaluated run."""
    result = json.loads((run / "linear-sgd.json").read_text())
    return {name: result[name] for name in ("top1", "top5")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, compare and write the kills."""
    asked = parse(make_parser("kill", __doc__), arguments, RESULT)
    size = TINY if asked.tiny else FULL
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pictures(folder / "pictures", size.pictures, SIDE)
        whole, disturbed = folder / "whole", folder / "disturbed"
        begin = [*UOTA, "pretrain", f"--data={folder / 'pictures'}", f"--epochs={size.epochs}", *PRETRAIN.split()]
        run([*begin, f"--out={whole}"])
        again = [*begin, f"--out={disturbed}"]
        kills = disturb("pretrain", size, again, [*again, "--resume"], disturbed / "checkpoint.ckpt")
        assert_same(whole, disturbed)
        if size.moments["evaluate"]:
            kills += kill_evaluations(size, whole, disturbed)
    asked.out.write_text(json.dumps({"kills": kills, "equal": True}, indent=1) + "\n")
    print(f"{len(kills)} kills, and all results are equal")


def kill_evaluations(size: Size, whole: Path, disturbed: Path) -> list[dict[str, object]]:
    """Evaluate one run undisturbed and the other with kills, and require the same accuracies."""
    evaluate = {out: [*UOTA, "evaluate", "linear-sgd", str(out), *EVALUATE.split()] for out in (whole, disturbed)}
    run(evaluate[whole])
    command = evaluate[disturbed]
    kills = disturb("evaluate", size, command, command, disturbed / "linear-sgd/checkpoint.ckpt")
    if accuracy(whole) != accuracy(disturbed):
        raise SystemExit(f"{accuracy(whole)} became {accuracy(disturbed)} by kills")
    return kills


if __name__ == "__main__":
    start(main)
