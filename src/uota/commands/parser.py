"""Commands, their parsers, and the options that several of them share."""

from argparse import Action
from argparse import HelpFormatter as ArgparseFormatter
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from jsonargparse import Namespace

from uota.commands.help import HelpFormatter
from uota.errors import UotaError
from uota.settings.evaluation import EncoderSpec
from uota.settings.parsing import Parser
from uota.settings.pretrain import Reading


class CommandParser(Parser):
    """A parser of a command's arguments, with a help text that ends in examples.

    Args:
        name: the words that start the command, such as "uota evaluate knn".
        arguments: the arguments that people give most, for the usage line.
        description: a sentence.
        examples: command lines.
    """

    def __init__(self, name: str, arguments: str, description: str, examples: tuple[str, ...]) -> None:
        self._shown_aliases: dict[str, str] = {}
        super().__init__(
            prog=name,
            usage=f"{name} {arguments}".rstrip(),
            description=description,
            epilog="\n  ".join(("examples:" if len(examples) > 1 else "example:", *examples)),
            formatter_class=HelpFormatter,
        )
        self._positionals.title = "arguments"

    def _get_formatter(self) -> ArgparseFormatter:
        formatter = super()._get_formatter()
        if isinstance(formatter, HelpFormatter):
            formatter.aliases = self._shown_aliases
        return formatter

    def set_title(self, group: str, title: str, description: str | None = None) -> None:
        """Set the title and the description of a group of options in the help text."""
        self.groups[group].title, self.groups[group].description = title, description  # type: ignore[index]

    def option(self, flag: str) -> Action:
        """Return the action of a flag."""
        return self._option_string_actions[flag]

    def show_alias(self, flag: str, alias: str) -> None:
        """Show an alias before a flag in the help text; `aliases` is what reads it."""
        self._shown_aliases[flag] = alias

    def add_commands(self, dest: str, title: str, made: "dict[str, tuple[CommandParser, str]]") -> None:
        """Add parsers of sub-commands, each with its line in the list of them."""
        commands = self.add_subcommands(dest=dest, metavar=dest.upper(), title=title, description=None)
        for name, (parser, line) in made.items():
            prog = parser.prog
            commands.add_subcommand(name, parser, help=line)
            parser.prog = prog  # jsonargparse names it "uota [options] ..."


class Command(NamedTuple):
    """A command of `uota`.

    Attributes:
        help: its line in the list of commands.
        parser: makes the parser of its arguments.
        run: runs it.
        add_kinds: adds sub-commands to its parser, once that is in its place, as jsonargparse requires.
    """

    help: str
    parser: Callable[[], CommandParser]
    run: Callable[[Namespace], None]
    add_kinds: Callable[[CommandParser], None] | None = None


def add_resume(parser: Parser) -> None:
    """Add the options that say what to do with a folder that exists."""
    parser.add_argument("--resume", action="store_true", help="Resume from the folder's checkpoint, with its settings.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is in the folder.")


def take_resume(values: dict[str, Any]) -> tuple[bool, bool]:
    """Take the options of `add_resume` out of a command's values: whether to resume, and whether to overwrite.

    Raises:
        UotaError: both are given.
    """
    resume, overwrite = values.pop("resume"), values.pop("overwrite")
    if resume and overwrite:
        raise UotaError("--resume keeps what is in the folder and --overwrite replaces it; give one of them")
    return resume, overwrite


def add_encoder(parser: CommandParser) -> None:
    """Add the arguments that say which encoder to load, and `--method` for that of a custom method."""
    parser.add_class_arguments(EncoderSpec, nested_key=None, as_positional=True)
    parser.set_title("EncoderSpec", "encoder")
    add_own_method(parser)


def take_encoder(values: dict[str, Any]) -> EncoderSpec:
    """Take the arguments of `add_encoder` out of a command's values.

    Raises:
        UotaError: `--method` names a built-in method.
    """
    drop_own_method(values)
    return EncoderSpec(**{field.name: values.pop(field.name) for field in fields(EncoderSpec)})


def add_data(parser: CommandParser, images: str, default: str) -> None:
    """Add `--data`.

    Args:
        parser: the command's.
        images: what kind of images, for the help text.
        default: which ones are used without the option.
    """
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        metavar="FOLDER",
        help=f"{images}, as in uota pretrain --data; null: {default}.",
    )


def add_reading(parser: CommandParser) -> None:
    """Add the options that say how image files are read."""
    parser.add_class_arguments(Reading, nested_key=None)
    parser.set_title("Reading", "reading of image files")


def take_reading(values: dict[str, Any]) -> Reading:
    """Take the options of `add_reading` out of a command's values."""
    return Reading(**{field.name: values.pop(field.name) for field in fields(Reading)})


def add_own_method(parser: Parser) -> None:
    """Add `--method`, which allows the custom method of a run; the settings in a run's folder may not."""
    parser.add_argument(
        "--method",
        type=str | None,
        default=None,
        metavar="CLASS",
        help="For a run with a custom method: its package.module.Class again, because a run folder may not name code "
        "to run.",
    )


def drop_own_method(values: dict[str, Any]) -> None:
    """Take `--method` out of a command's values; the method that it names is allowed before the command runs.

    Raises:
        UotaError: it names a built-in method.
    """
    name = values.pop("method")
    if name is not None and "." not in name:
        raise UotaError(f"--method is {name}, and a run knows its method; leave it out, or name a custom method")
