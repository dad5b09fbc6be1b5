"""Ten kills, none of which changes what comes out: python -m benchmarks.kill, a few minutes.

A run that writes a checkpoint in every step is killed (SIGKILL) at random moments and resumed; then the evaluation of
its encoder, by linear-sgd, likewise. Weights and accuracies must be, bit by bit, those of a run that nobody disturbed.
Each kill, and what it hit, goes to benchmarks/results/kill.json.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.views import smooth_images
from uota.runs.run import Run

RESULT = Path(__file__).parent / "results" / "kill.json"
MOMENTS = {
    "pretrain": ["start", "step", "write", "step", "write", "step"],
    "evaluate": ["start", "step", "step", "step"],
}
UOTA = [sys.executable, "-m", "uota"]
PRETRAIN = "--views small --epochs 30 --batch_size 32 --checkpoint_every 1 --accelerator cpu --threads 1 --workers 0"
EVALUATE = "--epochs 400 --batch_size 16 --accelerator cpu --workers 0"


def write_pictures(folder: Path) -> None:
    for number, pixels in enumerate(smooth_images(160, 3, 48, 48)):
        place = folder / f"kind{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        to_pil_image(pixels).save(place / f"{number:03}.png")


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def kill_at(moment: str, command: list[str], checkpoint: Path, after: float) -> dict[str, object]:
    """Start, wait for the moment, kill.

    Args:
        moment: "start" is so many seconds after the start; "step" after the process wrote its first checkpoint; "write"
            when it is seen to write one after that.
        command: what to start.
        checkpoint: that it writes.
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


def disturb(what: str, begin: list[str], go_on: list[str], checkpoint: Path) -> list[dict[str, object]]:
    """Kill at each of the moments, resume, and at last let it end."""
    kills, seconds = [], random.Random(0)
    for moment in MOMENTS[what]:
        started = (checkpoint.parent / "settings.json").exists()
        kills.append({"killed": what} | kill_at(moment, go_on if started else begin, checkpoint, seconds.uniform(0, 2)))
        print(kills[-1], flush=True)
    run(go_on)
    return kills


def assert_same(one: Path, other: Path) -> None:
    expected, found = (Run(folder).state()["state_dict"] for folder in (one, other))
    for name, value in expected.items():
        if isinstance(value, torch.Tensor) and not torch.equal(value, found[name]):
            raise SystemExit(f"{name} differs after kills")


def accuracy(run: Path) -> dict[str, object]:
    result = json.loads((run / "linear-sgd.json").read_text())
    return {name: result[name] for name in ("top1", "top5")}


def main() -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pictures(folder / "pictures")
        whole, disturbed = folder / "whole", folder / "disturbed"
        begin = [*UOTA, "pretrain", f"--data={folder / 'pictures'}", *PRETRAIN.split()]
        run([*begin, f"--out={whole}"])
        again = [*begin, f"--out={disturbed}"]
        kills = disturb("pretrain", again, [*again, "--resume"], disturbed / "checkpoint.ckpt")
        assert_same(whole, disturbed)
        evaluate = {out: [*UOTA, "evaluate", "linear-sgd", str(out), *EVALUATE.split()] for out in (whole, disturbed)}
        run(evaluate[whole])
        again = evaluate[disturbed]
        kills += disturb("evaluate", again, again, disturbed / "linear-sgd/checkpoint.ckpt")
        if accuracy(whole) != accuracy(disturbed):
            raise SystemExit(f"{accuracy(whole)} became {accuracy(disturbed)} by kills")
    RESULT.write_text(json.dumps({"kills": kills, "equal": True}, indent=1) + "\n")
    print(f"{len(kills)} kills, and all is equal")


if __name__ == "__main__":
    main()
