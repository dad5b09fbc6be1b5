"""`uota transfer TASK`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_encoder, add_resume, take_encoder, take_resume
from uota.settings.transfer import TASKS, Task, Transfer


def parser() -> CommandParser:
    """Make the parser, to which `add_tasks` adds."""
    return CommandParser(
        "uota transfer",
        "TASK RUN [options]",
        "Train a detector on top of an encoder on COCO, and measure its average precision.",
        ("uota transfer detection runs/photos --coco coco", "uota transfer keypoints moco.pth --coco coco --out moco"),
    )


def add_tasks(parser: CommandParser) -> None:
    """Add a sub-command for each task."""
    made = {name: (_task_parser(name), f"train a detector of {description}") for name, description in TASKS.items()}
    parser.add_commands("task", "tasks (uota transfer TASK --help says more)", made)  # type: ignore[arg-type]


def _task_parser(name: Task) -> CommandParser:
    made = CommandParser(
        f"uota transfer {name}",
        "RUN --coco FOLDER [options]",
        f"Train a detector of {TASKS[name]}, on COCO, and measure its average precision.",
        (f"uota transfer {name} runs/photos --coco coco", f"uota transfer {name} runs/photos --resume"),
    )
    add_encoder(made)
    made.add_argument(
        "--out",
        type=str | None,
        default=None,
        metavar="FOLDER",
        help="Folder to write; null: a folder named after the task in that of the run.",
    )
    add_resume(made)
    made.add_class_arguments(Transfer, nested_key=None)
    made.set_title("Transfer", "training")
    made.option("--coco").metavar = "FOLDER"
    return made


def run(options: Namespace) -> None:
    """Train a detector on top of an encoder, and print its average precision on COCO."""
    from uota.transfer.average_precision import describe
    from uota.transfer.transfer import transfer

    task = options.task
    values = options[task].as_dict()
    origin, out = take_encoder(values), values.pop("out")
    resume, overwrite = take_resume(values)
    precision = transfer(task, origin, None if resume else Transfer(**values), out, resume, overwrite)
    if precision is not None:
        print(f"{task}: {describe(precision)}")


COMMAND = Command("measure average precision on COCO: detection, segmentation, keypoints", parser, run, add_tasks)
