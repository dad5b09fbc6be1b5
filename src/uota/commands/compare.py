"""`uota compare`."""

import sys
from typing import Literal

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser
from uota.console import printable


def parser() -> CommandParser:
    """Make the parser of the folders and the output format."""
    parser = CommandParser(
        "uota compare",
        "RUN [RUN ...] [--to FORMAT]",
        "Print a table of runs and their evaluations, and the gain from arbitration.",
        ("uota compare runs/*", "uota compare runs/with runs/without --to markdown"),
    )
    parser.add_argument("runs", type=str, nargs="+", metavar="RUN", help="Folder of a run, or of several runs.")
    parser.add_argument(
        "--to", type=Literal["text", "markdown", "csv", "latex", "html"], default="text", help="Output format."
    )
    return parser


def run(options: Namespace) -> None:
    """Print the evaluations of runs as a table."""
    from uota.comparison import FORMATS, compare
    from uota.io.outputs import path_of

    found = compare([path_of(run) for run in options.runs])
    print(FORMATS[options.to](found))
    for note in found.notes:
        print(f"uota: {printable(note)}", file=sys.stderr)


COMMAND = Command("print a table of runs and their evaluations, with the gain by arbitration", parser, run)
