"""`uota demo`."""

from jsonargparse import Namespace

from uota.commands.parser import Command
from uota.settings.parsing import Parser
from uota.settings.pretrain import DEMO_EPOCHS


def parser() -> Parser:
    """What both runs share."""
    parser = Parser(description="SwAV on the demo scenes, without and with arbitration, side by side.")
    parser.add_argument("--out", type=str, default="runs/demo", help="folder of both runs")
    parser.add_argument("--seed", type=int, default=0, help="of both runs")
    parser.add_argument("--epochs", type=int, default=DEMO_EPOCHS, help="of both runs")
    return parser


def run(options: Namespace) -> None:
    """Pretrain with and without arbitration on the embedded scenes, and compare."""
    from uota.commands.demonstration import run_demo
    from uota.io.outputs import check_writable_folder, path_of

    out = path_of(options.out)
    check_writable_folder(out)
    run_demo(out, options.seed, options.epochs)


COMMAND = Command("what arbitration is worth on the embedded scenes, in minutes", parser, run)
