"""What a pretrained encoder is worth for boxes and masks: python -m benchmarks.transfer  (20 minutes of one core)

The tiny encoder is pretrained on the demo scenes by the package's own recipe, and is put under Mask R-CNN; beside it
the same network from its first, random weights. Both are trained for the same number of steps on 384 scenes in COCO's
layout (boxes, polygons, run lengths), and measured by pycocotools on 200 others. Three seeds, each of the pretraining
and of the transfer; pretrained runs are kept in runs/benchmark-transfer. Makes what has no line in
benchmarks/results/transfer.jsonl yet; `table` prints what there is.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from benchmarks.lines import make_missing, read_lines

from uota.data.coco_scenes import write_coco_scenes
from uota.protocols import Origin
from uota.recipes import recipe
from uota.training.pretrain import pretrain
from uota.transfer.settings import Transfer
from uota.transfer.transfer import transfer

RUNS = Path("runs/benchmark-transfer")
OUT = Path(__file__).parent / "results/transfer.jsonl"
SEEDS, ENCODERS = (0, 1, 2), ("pretrained", "random")
STEPS, BATCH = 200, 8
PARTS, MEASURES = ("boxes", "masks"), ("ap", "ap50", "ap75")


class Run(NamedTuple):
    """What identifies a line of results."""

    seed: int


def pretrained(seed: int) -> Path:
    """The folder of the run of a seed, which is made only once."""
    settings = replace(recipe("swav_demo"), arbiter="learned", look="features", seed=seed, accelerator="cpu", threads=1)
    folder = RUNS / f"seed-{seed}"
    if not (folder / "done").exists():
        pretrain(settings, folder, overwrite=True, bar=False, lines=False)
        (folder / "done").touch()
    return folder


def measure(run: Run) -> dict[str, Any]:
    """Transfer with and without pretraining, and return the line: average precision in per cent."""
    torch.set_num_threads(1)
    origin = Origin(str(pretrained(run.seed)))
    asked = Transfer(steps=STEPS, batch_size=BATCH, seed=run.seed, workers=0, threads=1, accelerator="cpu")
    line: dict[str, Any] = run._asdict() | {"steps": STEPS, "batch_size": BATCH}
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_coco_scenes(folder / "coco")
        for encoder in ENCODERS:
            began = time.process_time()
            settings = replace(asked, coco=str(folder / "coco"), from_scratch=encoder == "random")
            found = transfer("segmentation", origin, settings, str(folder / encoder), bar=False)
            assert found is not None
            line[encoder] = {part: {name: round(getattr(found[part], name), 2) for name in MEASURES} for part in PARTS}
            line[encoder]["cpu_seconds"] = round(time.process_time() - began)
    return line


def table(rows: list[dict[str, Any]]) -> str:
    """Mean over seeds, and every seed's AP, of each encoder."""
    rows = sorted(rows, key=lambda row: row["seed"])
    lines = [
        "| AP / AP50 / AP75 | boxes | masks | AP of boxes, by seed | AP of masks, by seed |",
        "|---|---|---|---|---|",
    ]
    for encoder in ENCODERS:
        of_parts = [[row[encoder][part] for row in rows] for part in PARTS]
        means = [" / ".join(f"{mean(each[name] for each in of):.1f}" for name in MEASURES) for of in of_parts]
        seeds = [", ".join(f"{each['ap']:.1f}" for each in of) for of in of_parts]
        lines.append("| " + " | ".join([encoder, *means, *seeds]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["table"]:
        make_missing(OUT, (Run(seed) for seed in SEEDS), measure)
    print(table(read_lines(OUT)))
