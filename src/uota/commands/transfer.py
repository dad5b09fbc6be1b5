"""`uota transfer TASK`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, add_own_method, add_resume, drop_own_method, take_origin
from uota.settings.evaluation import EncoderSpec
from uota.settings.parsing import Parser
from uota.settings.transfer import TASKS, Transfer


def parser() -> Parser:
    """The tasks follow."""
    return Parser(description="Train a detector on an encoder, and measure it; a folder in the run holds it.")


def add_tasks(parser: Parser) -> None:
    """Each task with the settings of a transfer."""
    tasks = parser.add_subcommands(dest="task", metavar="TASK")
    for name, description in TASKS.items():
        made = Parser(description=description)
        made.add_class_arguments(EncoderSpec, nested_key=None, as_positional=True)
        made.add_argument("--out", type=str | None, default=None, help="folder; null: the run's, with the task's name")
        add_resume(made)
        add_own_method(made)
        made.add_class_arguments(Transfer, nested_key=None)
        tasks.add_subcommand(name, made, help=description)


def run(options: Namespace) -> None:
    """Average precision of a detector on an encoder, trained on COCO."""
    from uota.transfer.average_precision import describe
    from uota.transfer.transfer import transfer

    task = options.task
    values = options[task].as_dict()
    drop_own_method(values)
    origin, out = take_origin(values), values.pop("out")
    resume, overwrite = values.pop("resume"), values.pop("overwrite")
    precision = transfer(task, origin, None if resume else Transfer(**values), out, resume, overwrite)
    if precision is not None:
        print(f"{task}: {describe(precision)}")


COMMAND = Command("average precision on COCO: detection, segmentation, keypoints", parser, run, add_tasks)
