"""The command line that all benchmarks share: `--tiny`, `--out`, and usage errors of one sentence."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from uota import UotaError

RESULTS = Path(__file__).parent / "results"
# Figures of the smallest forms mean nothing and must not replace measured ones.
TINY_RESULTS = Path("runs/tiny-benchmarks")
USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the message without the usage line, which can be longer than a screen."""
        self.exit(USAGE_ERROR, f"{self.prog}: {message}; see --help\n")


def make_parser(name: str, documentation: str | None, measures: bool = True) -> Parser:
    """Return the parser of `python -m benchmarks.NAME`; if the command measures, it knows `--tiny` and `--out`."""
    prog = f"python -m benchmarks.{name}"
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog=prog, description=documentation, formatter_class=formatter, allow_abbrev=False)
    if measures:
        parser.add_argument("--tiny", action="store_true", help="run the smallest form: seconds, figures mean nothing")
        parser.add_argument("--out", type=Path, help="file for the results, instead of the one in benchmarks/results")
    return parser


def parse(parser: Parser, arguments: Sequence[str] | None, result: Path) -> argparse.Namespace:
    """Parse arguments and fill in where the results go.

    Args:
        parser: made by `make_parser`.
        arguments: without the program's name; None: those of this process.
        result: the committed file, used unless `--out` or `--tiny` is given.
    """
    asked = parser.parse_args(arguments)
    asked.out = asked.out or (TINY_RESULTS / result.name if asked.tiny else result)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    return asked


def positive(text: str) -> int:
    """Convert an argument that must be an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def start(main: Callable[[], None]) -> None:
    """Run a benchmark's `main`; an error that the user can fix is printed as one sentence."""
    try:
        main()
    except UotaError as error:
        print(error, file=sys.stderr)
        raise SystemExit(USAGE_ERROR) from None
