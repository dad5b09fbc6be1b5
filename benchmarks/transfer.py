"""What a pretrained encoder is worth for boxes and masks: python -m benchmarks.transfer  (40 minutes of one core)

The tiny encoder is pretrained on the demo scenes as `uota demo` does it, and put under Mask R-CNN; beside it the same
network from its first, random weights. Both are trained for the same number of steps, three numbers of them, on 384
scenes in COCO's layout (boxes, polygons, run lengths), and measured by pycocotools on 200 others. Three seeds, each of
the pretraining and of the transfer; pretrained runs are kept in runs/benchmark-transfer. Makes what has no line in
benchmarks/results/transfer.jsonl yet; `table` prints what there is.
"""

import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.lines import make_missing, read_lines
from uota.commands.demonstration import DEMO_EPOCHS
from uota.data.demo.coco_scenes import write_coco_scenes
from uota.recipes import recipe
from uota.settings.evaluation import EncoderSpec
from uota.settings.transfer import Transfer
from uota.training.pretrain import pretrain
from uota.transfer.transfer import transfer

RUNS = Path("runs/benchmark-transfer")
OUT = Path(__file__).parent / "results/transfer.jsonl"
SEEDS, ENCODERS = (0, 1, 2), ("pretrained", "random")
LENGTHS, BATCH = (100, 200, 400), 8
PARTS, MEASURES = ("boxes", "masks"), ("ap", "ap50", "ap75")


class Run(NamedTuple):
    """What identifies a line of results."""

    seed: int
    steps: int


def pretrained(seed: int) -> Path:
    """The folder of the run of a seed, which is made only once."""
    recipe_of_demo = replace(recipe("swav_demo"), epochs=DEMO_EPOCHS, arbiter="learned", look="features")
    settings = replace(recipe_of_demo, seed=seed, accelerator="cpu", threads=1)
    folder = RUNS / f"seed-{seed}"
    if not (folder / "done").exists():
        pretrain(settings, folder, overwrite=True, bar=False, lines=False)
        (folder / "done").touch()
    return folder


def measure(run: Run) -> dict[str, Any]:
    """Transfer with and without pretraining, and return the line: average precision in per cent."""
    origin = EncoderSpec(str(pretrained(run.seed)))
    # The norms of published heads would learn little in so few steps, and the committed lines have these heads.
    asked = Transfer(
        steps=run.steps,
        batch_size=BATCH,
        heads="torchvision",
        seed=run.seed,
        workers=0,
        threads=1,
        accelerator="cpu",
    )
    line: dict[str, Any] = run._asdict() | {"batch_size": BATCH}
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
    """Mean over seeds, and every seed's AP, of each length and encoder."""
    lines = [
        "| steps | encoder | boxes, AP / AP50 / AP75 | masks | AP of boxes, by seed | AP of masks, by seed |",
        "|---|---|---|---|---|---|",
    ]
    for steps, encoder in product(sorted({row["steps"] for row in rows}), ENCODERS):
        chosen = sorted((row for row in rows if row["steps"] == steps), key=lambda row: row["seed"])
        of_parts = [[row[encoder][part] for row in chosen] for part in PARTS]
        means = [" / ".join(f"{mean(each[name] for each in of):.1f}" for name in MEASURES) for of in of_parts]
        seeds = [", ".join(f"{each['ap']:.1f}" for each in of) for of in of_parts]
        lines.append("| " + " | ".join([str(steps), encoder, *means, *seeds]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["table"]:
        make_missing(OUT, (Run(seed, steps) for steps in LENGTHS for seed in SEEDS), measure)
    print(table(read_lines(OUT)))
