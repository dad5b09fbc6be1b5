"""`uota demo`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser
from uota.demo.length import Length


def parser() -> CommandParser:
    """Make the parser of the demo's options."""
    parser = CommandParser(
        "uota demo",
        "[options]",
        "File a tenth of the demo's drawings wrong, find them, and train on them without and with arbitration.",
        ("uota demo", "uota demo --steps 20 --out runs/short"),
    )
    parser.add_argument("--out", type=str, default="runs/demo", metavar="FOLDER", help="Folder of all results.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the misfiled drawings and of all runs.")
    parser.add_argument("--steps", type=int, default=Length().steps, help="Number of steps of each training run.")
    return parser


def run(options: Namespace) -> None:
    """Find misfiled drawings, train on them without and with arbitration, and evaluate."""
    from uota.demo.run import run_demo
    from uota.io.outputs import check_writable_folder, path_of

    out = path_of(options.out)
    check_writable_folder(out)
    run_demo(out, options.seed, Length(steps=options.steps))


COMMAND = Command("find misfiled drawings, and train on them, in minutes", parser, run)
