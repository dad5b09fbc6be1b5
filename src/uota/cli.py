"""The `uota` command: pretrain, evaluate, transfer, compare, embed, export, inspect, shard, methods, demo."""

import signal
import sys
from contextlib import suppress
from pathlib import Path

from uota.arguments import Parser
from uota.commands import COMMANDS
from uota.errors import UotaError
from uota.recipes import recipe_file
from uota.signals import Interruption, raise_signals

# Signals as shells know them: their number is added to this.
STOPPED = 128


def main(arguments: list[str] | None = None) -> int:
    """Run a command; what a person can mend, and a signal that stops it, end in one sentence and an exit code."""
    try:
        with raise_signals():
            chosen = _parser().parse_args(_with_recipes(sys.argv[1:] if arguments is None else arguments))
            COMMANDS[chosen.command].run(chosen[chosen.command])
    except UotaError as error:
        return _end(str(error), error.code)
    except Interruption as stopped:
        return _end(f"stopped by {signal.Signals(stopped.number).name}", STOPPED + stopped.number)
    except KeyboardInterrupt:
        return _end("stopped", STOPPED + signal.SIGINT)
    return 0


def _end(sentence: str, code: int) -> int:
    with suppress(OSError):  # the terminal that is closed is what sent the signal
        print(f"uota: {sentence}", file=sys.stderr)
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="uota", description="Self-supervised learning that notices which views no longer show their image."
    )
    commands = parser.add_subcommands(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        made = command.parser()
        commands.add_subcommand(name, made, help=command.help)
        if command.add_kinds:
            command.add_kinds(made)
    return parser


def _with_recipes(arguments: list[str]) -> list[str]:
    """`--config NAME` of a recipe, where there is no such file, becomes the recipe's file."""
    found, after_config = [], False
    for argument in arguments:
        flag, equals, value = argument.rpartition("=")
        if (after_config or flag == "--config") and not Path(value).exists():
            argument = f"{flag}{equals}{recipe_file(value)}"
        found.append(argument)
        after_config = argument == "--config"
    return found


if __name__ == "__main__":
    sys.exit(main())
