"""What a command is."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from jsonargparse import Namespace

from uota.errors import UotaError
from uota.settings.evaluation import EncoderSpec
from uota.settings.parsing import Parser
from uota.settings.pretrain import Reading


class Command(NamedTuple):
    """A command of `uota`.

    Attributes:
        help: a line in the list of commands.
        parser: makes what reads its arguments.
        run: does it.
        add_kinds: gives its parser commands of its own, once that is in its place, as jsonargparse wants it.
    """

    help: str
    parser: Callable[[], Parser]
    run: Callable[[Namespace], None]
    add_kinds: Callable[[Parser], None] | None = None


def add_resume(parser: Parser) -> None:
    """What to do with a folder that is there already."""
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint, with its settings")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that is in the folder")


def take_origin(values: dict[str, Any]) -> EncoderSpec:
    """Takes what tells of an encoder out of a command's values."""
    return EncoderSpec(**{field.name: values.pop(field.name) for field in fields(EncoderSpec)})


def add_reading(parser: Parser) -> None:
    """Add the options that say how image files are read."""
    parser.add_class_arguments(Reading, nested_key=None)


def take_reading(values: dict[str, Any]) -> Reading:
    """Take the options of `add_reading` out of a command's values."""
    return Reading(**{field.name: values.pop(field.name) for field in fields(Reading)})


def add_own_method(parser: Parser) -> None:
    """Add `--method`, which allows a run's custom method: its settings alone may not."""
    parser.add_argument(
        "--method",
        type=str | None,
        default=None,
        help="of a run with a method of your own: package.module.Class once more, since its folder may not choose code",
    )


def drop_own_method(values: dict[str, Any]) -> None:
    """Take `--method` out of a command's values: what it names was allowed before the command ran.

    Raises:
        UotaError: it names none of the user's own.
    """
    name = values.pop("method")
    if name is not None and "." not in name:
        raise UotaError(f"--method is {name}, and a run knows its method; leave it out, or name one of your own")
