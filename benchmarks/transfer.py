"""What a pretrained encoder is worth for boxes and masks: python -m benchmarks.transfer  (40 minutes of one core)

The tiny encoder is pretrained on the demo scenes as `uota demo` does it, and becomes the backbone of a Mask R-CNN; it
is compared with the same network from random weights. Both are trained for the same number of steps, of which there are
three choices, on 384 scenes in COCO's layout (boxes, polygons, run lengths), and measured by pycocotools on 200 others.
Pretraining and transfer are repeated with three seeds; pretrained runs are kept in runs/benchmark-transfer. Runs that
have no line in benchmarks/results/transfer.jsonl are made; `table` only prints the lines that there are.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.command_line import RESULTS, make_parser, parse, start
from benchmarks.images import write_pictures
from benchmarks.lines import make_missing, read_lines
from uota.commands.demonstration import DEMO_EPOCHS
from uota.data.demo.coco_scenes import write_coco_scenes
from uota.recipes import recipe
from uota.settings.evaluation import EncoderSpec
from uota.settings.transfer import Transfer
from uota.training.pretrain import pretrain
from uota.transfer.transfer import transfer

RUNS = Path("runs/benchmark-transfer")
OUT = RESULTS / "transfer.jsonl"
SEEDS, ENCODERS = (0, 1, 2), ("pretrained", "random")
LENGTHS, BATCH = (100, 200, 400), 8
PARTS, MEASURES = ("boxes", "masks"), ("ap", "ap50", "ap75")
TINY_IMAGES, TINY_BATCH = 12, 2


class Run(NamedTuple):
    """The fields that identify a line of results."""

    seed: int
    steps: int


def pretrained(seed: int) -> Path:
    """Return the folder of the pretraining run of a seed, which is made only once."""
    recipe_of_demo = recipe("swav_demo").replace_flat(epochs=DEMO_EPOCHS, arbiter="learned", eyes="features")
    settings = recipe_of_demo.replace_flat(seed=seed, accelerator="cpu", threads=1)
    folder = RUNS / f"seed-{seed}"
    if not (folder / "done").exists():
        pretrain(settings, folder, overwrite=True, bar=False, lines=False)
        (folder / "done").touch()
    return folder


def pretrained_briefly(folder: Path) -> Path:
    """Pretrain for one step on a few pictures, and return the folder of the run."""
    data = write_pictures(folder / "pictures", TINY_IMAGES, side=32)
    settings = recipe("swav_demo").replace_flat(data=str(data), epochs=1, batch_size=TINY_IMAGES // 2, workers=0)
    pretrain(settings.replace_flat(accelerator="cpu", threads=1), folder / "run", bar=False, lines=False)
    return folder / "run"


def measure(run: Run, tiny: bool = False) -> dict[str, Any]:
    """Transfer with and without pretraining, and return the line: average precision in per cent."""
    # The norms of published heads would learn little in so few steps, and the committed lines have torchvision's.
    batch = TINY_BATCH if tiny else BATCH
    asked = Transfer(
        steps=run.steps,
        batch_size=batch,
        heads="torchvision",
        seed=run.seed,
        workers=0,
        threads=1,
        accelerator="cpu",
    )
    line: dict[str, Any] = run._asdict() | {"batch_size": batch}
    with TemporaryDirectory() as name:
        folder = Path(name)
        origin = EncoderSpec(str(pretrained_briefly(folder) if tiny else pretrained(run.seed)))
        write_coco_scenes(folder / "coco", *((TINY_IMAGES, TINY_BATCH) if tiny else ()))
        for encoder in ENCODERS:
            began = time.process_time()
            settings = replace(asked, coco=str(folder / "coco"), from_scratch=encoder == "random")
            found = transfer("segmentation", origin, settings, str(folder / encoder), bar=False)
            assert found is not None
            line[encoder] = {part: {name: round(getattr(found[part], name), 2) for name in MEASURES} for part in PARTS}
            line[encoder]["cpu_seconds"] = round(time.process_time() - began)
    return line


def table(rows: list[dict[str, Any]]) -> str:
    """Format the mean over seeds, and every seed's AP, of each length and encoder."""
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that have no line yet, and print the table."""
    parser = make_parser("transfer", __doc__)
    parser.add_argument("what", nargs="?", choices=["table"], help="only print the table")
    asked = parse(parser, arguments, OUT)
    if asked.tiny:
        make_missing(asked.out, [Run(seed=0, steps=1)], partial(measure, tiny=True), processes=1)
    elif asked.what is None:
        make_missing(asked.out, (Run(seed, steps) for steps in LENGTHS for seed in SEEDS), measure)
    print(table(read_lines(asked.out)))


if __name__ == "__main__":
    start(main)
