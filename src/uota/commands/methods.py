"""`uota methods`."""

from jsonargparse import Namespace

from uota.arguments import Parser
from uota.commands.command import Command


def parser() -> Parser:
    """Nothing to choose."""
    return Parser(description="Which methods there are, and what the weights act on in each.")


def run(options: Namespace) -> None:
    """Print the table of methods."""
    from rich.console import Console

    from uota.report.methods import table_of_methods

    Console().print(table_of_methods())


COMMAND = Command("the table of methods", parser, run)
