"""Training on a folder of mostly damaged files uses the readable ones and names the others."""

import json
import sys

from PIL import Image
from tests.data.damage import write_damaged
from tests.processes import run_command

# Runs in a separate process to measure its peak memory; getrusage would count the parent's as well.
TRAIN = """
import json, re, sys
from pathlib import Path
from uota.commands.cli import main
code = main(["pretrain", *sys.argv[1:]])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([code, int(peak[1]) / 1e6]))
"""


def test_a_thousand_damaged_files_do_not_stop_training(pictures, tmp_path):
    folder, run = tmp_path / "images", tmp_path / "run"
    certain, perhaps = write_damaged(folder, 1000, seed=0)
    sound = sorted(pictures.rglob("*.png"))[:24]
    for number, path in enumerate(sound):
        (folder / f"sound-{number}.png").write_bytes(path.read_bytes())
    Image.new("L", (9000, 9000)).save(folder / "large.png")  # within the limit, and 0.2 GB in colour
    Image.new("L", (10_000, 10_000)).save(folder / "larger.png")
    # All 1026 images are one batch.
    asked = f"--data={folder} --out={run} --views=small --epochs=1 --batch_size=1026 --local_views=0 --accelerator=cpu"
    flags = [*asked.split(), "--threads=1", "--workers=0", "--arbiter=none"]
    ended = run_command([sys.executable, "-c", TRAIN, *flags], check=True)
    code, gigabytes = json.loads(ended.stdout.splitlines()[-1])
    assert code == 0
    assert gigabytes < 2.5
    assert (run / "checkpoint.ckpt").exists()
    named = {line.rpartition("/")[2] for line in (run / "skipped.txt").read_text().splitlines()}
    assert named >= certain | {"larger.png"}
    assert named <= certain | perhaps | {"larger.png"}
    assert f"{len(named)} file(s) of" in ended.stdout
    assert str(run / "skipped.txt") in ended.stdout.replace("\n", "")
