"""`uota compare`."""

import sys
from typing import Literal

from jsonargparse import Namespace

from uota.commands.parser import Command
from uota.console import printable
from uota.settings.parsing import Parser


def parser() -> Parser:
    """Folders, and a format."""
    parser = Parser(description="Print runs and their evaluations as a table, and what arbitration gains.")
    parser.add_argument("runs", type=str, nargs="+", help="folders of runs, or of runs' folders")
    parser.add_argument(
        "--to", type=Literal["text", "markdown", "csv", "latex", "html"], default="text", help="who shall read it"
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


COMMAND = Command("evaluations of runs side by side, over seeds, with the gain by arbitration", parser, run)
