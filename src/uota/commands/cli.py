"""The `uota` command: pretrain, evaluate, transfer, compare, embed, export, inspect, misfiled, shard, methods, demo."""

import os
import signal
import sys
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from uota.commands import COMMANDS
from uota.commands.parser import CommandParser
from uota.console import make_streams_tolerant, printable, show_messages
from uota.errors import UotaError
from uota.recipes import recipe_file
from uota.settings.parsing import check_config
from uota.settings.pretrain import NAMES
from uota.settings.ranges import check_given
from uota.training.signals import Interruption, raise_signals

# Signals, and a closed pipe, as shells know them: the number of a signal is added to the first.
STOPPED, READER_GONE = 128, 141
METHOD_FLAGS = ("--method", "--method.name")
METHOD_FLAGS_WITH_VALUE = tuple(f"{flag}=" for flag in METHOD_FLAGS)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; what a person can fix, and a signal that stops it, end in one sentence and an exit code."""
    make_streams_tolerant()
    try:
        with raise_signals(), show_messages():
            run(sys.argv[1:] if arguments is None else arguments)
            sys.stdout.flush()
    except UotaError as error:
        return _end(str(error), error.code)
    except BrokenPipeError:  # of `uota ... | head`: whoever read has read enough
        _discard_output()
        return READER_GONE
    except OSError as error:
        return _end(_said_of(error), UotaError.code)
    except Interruption as stopped:
        return _end(f"stopped by {signal.Signals(stopped.number).name}", STOPPED + stopped.number)
    except KeyboardInterrupt:
        return _end("stopped", STOPPED + signal.SIGINT)
    return 0


def _end(sentence: str, code: int) -> int:
    with suppress(OSError):  # the terminal that is closed is what sent the signal
        print(f"uota: {printable(sentence)}", file=sys.stderr)
    return code


def run(arguments: list[str]) -> None:
    """Run a command, for which the methods of a user's own are allowed that its arguments name.

    Raises:
        UotaError: something is wrong that a person can fix.
    """
    own = own_methods(arguments)
    chosen = _parsed(_with_recipes(arguments))
    _check_given(chosen)
    with _allowing(own):
        COMMANDS[chosen.command].run(chosen[chosen.command])


def _parsed(arguments: list[str]) -> Namespace:
    try:
        return _parser().parse_args(arguments)
    except RecursionError as error:  # an alias of YAML that holds itself
        raise UotaError("a value is nested too deeply; write it out, without aliases") from error
    except (ArithmeticError, ValueError) as error:  # of numbers with hundreds of digits, for one
        raise UotaError(f"an argument cannot be read: {error}; see --help for what each takes") from error


def own_methods(arguments: list[str]) -> list[str]:
    """The methods of a user's own that `--method` names among the arguments themselves, not in a file of settings."""
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith(METHOD_FLAGS_WITH_VALUE)]
    values += [value for flag, value in pairwise(arguments) if flag in METHOD_FLAGS]
    return [value for value in values if "." in value]


def _allowing(own: list[str]) -> AbstractContextManager[None]:
    if not own:
        return nullcontext()
    from uota.methods import allowing  # only here: it takes seconds

    return allowing(own)


def _check_given(options: Namespace, section: str = "") -> None:
    """Check every value of a command, and of its subcommands and sections, by its name."""
    for name, value in vars(options).items():
        if isinstance(value, Namespace):
            _check_given(value, name)
        else:
            check_given(NAMES.get((section, name), name), value, section)


def _said_of(error: OSError) -> str:
    why = printable(error.strerror or str(error) or type(error).__name__)
    if error.filename is None:
        return f"the system says: {why}; see that files and folders are there and may be read"
    name = printable(os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename))
    return f"{name}: {why}; see that it is there, is of the right kind, and may be read (or written)"


def _discard_output() -> None:
    """Let Python's last flush of what was printed go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Version(Action):
    """Print the version, which is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, SUPPRESS, nargs=0, default=SUPPRESS, help=settings["help"])

    def __call__(self, parser: ArgumentParser, *others: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"uota {version('uota')}")
        except PackageNotFoundError as error:
            raise UotaError("uota is not installed, so its version is unknown; run `pip install .`") from error
        parser.exit()


@cache
def _parser() -> CommandParser:
    """Make the parser of all commands, once: reading the settings' docstrings takes a fifth of a second."""
    parser = CommandParser(
        "uota",
        "COMMAND [options]",
        "Self-supervised learning that notices which views no longer show their image.",
        ("uota demo", "uota pretrain --data photos --out runs/photos", "uota evaluate knn runs/photos"),
    )
    parser.add_argument("--version", action=_Version, help="Print the version and exit.")
    made = {name: (command.parser(), command.help) for name, command in COMMANDS.items()}
    parser.add_commands("command", "commands (uota COMMAND --help says more)", made)
    for name, command in COMMANDS.items():
        if command.add_kinds:
            command.add_kinds(made[name][0])
    return parser


def _with_recipes(arguments: list[str]) -> list[str]:
    """`--config NAME` of a recipe, where there is no such file, becomes the recipe's file; files are looked at."""
    found, before = [], ""
    for argument in arguments:
        if before == "--config":
            found.append(str(_config_file(argument)))
        elif argument.startswith("--config="):
            found.append(f"--config={_config_file(argument.partition('=')[2])}")
        else:
            found.append(argument)
        before = argument
    return found


def _config_file(name: str) -> Path:
    """A file of settings that may be parsed, by its own name or a recipe's."""
    path = Path(name)
    if not os.path.lexists(path):
        return recipe_file(name)
    check_config(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
