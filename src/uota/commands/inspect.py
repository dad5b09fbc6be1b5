"""`uota inspect`."""

from typing import Any

from jsonargparse import Namespace

from uota.commands.parser import Command, add_own_method, add_reading, drop_own_method
from uota.settings.parsing import Parser

# Share of files in a wrong folder that says more about the arbiter than about the files.
TOO_MANY = 0.4


def parser() -> Parser:
    """What is looked at, by what, and what is written."""
    parser = Parser(description="A page about images, their views and the weights of these, in one file.")
    parser.add_argument(
        "what",
        type=str,
        nargs="*",
        help="a run's folder, then others to draw beside; or images: a folder or a name; nothing: demo-scenes",
    )
    parser.add_argument(
        "--data", type=str | None, default=None, help="a folder of images; null: the run's, or demo-scenes"
    )
    parser.add_argument(
        "--out", type=str, default="inspect.html", help="the page; .png or another picture: the gallery alone"
    )
    parser.add_argument("--views", type=str, default="auto", help="as in uota pretrain --views")
    parser.add_argument(
        "--view_options",
        type=dict[str, dict[str, Any]],
        default={},
        help="changes to it, as in uota pretrain --view_options",
    )
    parser.add_argument(
        "--files", type=str | None, default=None, help="of groups: a CSV of all files, those in a wrong folder first"
    )
    parser.add_argument("--table", type=str | None, default=None, help="a .parquet or .csv file with a row per view")
    parser.add_argument("--inject", type=float, default=0.0, help="share of views taken from other images, as a check")
    parser.add_argument("--backbone", type=str | None, default=None, help="without a run: look through this timm model")
    parser.add_argument("--weights", type=str | None, default=None, help="of the backbone: a file; null: random")
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="how long an arbiter learns, where a run has none; for groups two do",
    )
    parser.add_argument(
        "--images", type=int | None, default=None, help="how many to show; null: 60, in a picture alone 8"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the views and of the choice of images")
    add_reading(parser)
    add_own_method(parser)
    return parser


def run(options: Namespace) -> None:
    """Show which views of images are outliers."""
    from uota.console import printable
    from uota.inspection.command import inspect_and_write
    from uota.io.outputs import path_of

    values = options.as_dict()
    drop_own_method(values)
    out, files, table = path_of(values.pop("out")), values.pop("files"), values.pop("table")
    found = inspect_and_write(values.pop("what") or [], out, files, table, **values)
    rate = "not estimated" if found.outlier_rate is None else f"{100 * found.outlier_rate:.1f} %"
    means = ", ".join(f"{mean:.2f}" for mean in found.mean_weight)
    doubt = _doubt(found.outlier_rate)
    shown = f"mean weight by size of view: {means}; written: {printable(out)}"
    print(f"estimated share of outlier views: {rate}{doubt}; {shown}")
    if found.misfiled is not None:
        listed = (
            f"{_doubt(found.misfiled)}; all files, worst first: {printable(files)}" if files else _doubt(found.misfiled)
        )
        print(f"estimated share of files in a wrong folder: {100 * found.misfiled:.1f} %{listed}")


def _doubt(rate: float | None) -> str:
    """What an estimate means that says more about the arbiter than about the views."""
    if rate is None or rate <= TOO_MANY:
        return ""
    return " (so many that it probably cannot tell: give more --seconds, or a run more epochs)"


COMMAND = Command("see which views of images are outliers, with or without a run", parser, run)
