"""`uota demo`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser
from uota.settings.pretrain import DEMO_EPOCHS


def parser() -> CommandParser:
    """Make the parser of what both runs share."""
    parser = CommandParser(
        "uota demo",
        "[options]",
        "Pretrain SwAV on the demo scenes without and with arbitration, side by side, and compare the two.",
        ("uota demo", "uota demo --epochs 3 --out runs/short"),
    )
    parser.add_argument("--out", type=str, default="runs/demo", metavar="FOLDER", help="Folder of both runs.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of both runs.")
    parser.add_argument("--epochs", type=int, default=DEMO_EPOCHS, help="Number of epochs of each run.")
    return parser


def run(options: Namespace) -> None:
    """Pretrain with and without arbitration on the embedded scenes, and compare."""
    from uota.commands.demonstration import run_demo
    from uota.io.outputs import check_writable_folder, path_of

    out = path_of(options.out)
    check_writable_folder(out)
    run_demo(out, options.seed, options.epochs)


COMMAND = Command("show in minutes what arbitration gains on the demo scenes", parser, run)
