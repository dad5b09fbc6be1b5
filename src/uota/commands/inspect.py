"""`uota inspect`."""

from typing import Any

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_own_method, add_reading, drop_own_method

# An estimated share of outliers above this says more about the arbiter than about the views or files.
TOO_MANY = 0.4


def parser() -> CommandParser:
    """Make the parser of what to look at, by which arbiter, and what to write."""
    parser = CommandParser(
        "uota inspect",
        "[RUN ... | FOLDER] [options]",
        "Write a page that shows which views of images are outliers, with or without a run.",
        (
            "uota inspect photos",
            "uota inspect runs/photos runs/other --out photos.html",
            "uota inspect photos --views groups --files files.csv",
        ),
    )
    parser.add_argument(
        "what",
        type=str,
        nargs="*",
        metavar="RUN|FOLDER",
        help="Folder of a run, and others to show beside it; or a folder of images, or the name of a data set. "
        "Default: demo-scenes.",
    )
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        metavar="FOLDER",
        help="Images, as in uota pretrain --data; null: the run's, or demo-scenes.",
    )
    parser.add_argument(
        "--out",
        type=str,
        default="inspect.html",
        metavar="FILE",
        help="Page to write; the suffix of a picture, such as .png, writes only the gallery.",
    )
    parser.add_argument(
        "--files",
        type=str | None,
        default=None,
        metavar="FILE",
        help="For groups (--views groups, or a run on groups): CSV to write, with all files, those most likely to be "
        "misfiled first.",
    )
    parser.add_argument(
        "--table",
        type=str | None,
        default=None,
        metavar="FILE",
        help="Table to write with one row per view, .parquet or .csv.",
    )
    parser.add_argument(
        "--views", type=str, default="auto", metavar="PRESET", help="Preset of views, as in uota pretrain --views."
    )
    parser.add_argument(
        "--view_options",
        type=dict[str, dict[str, Any]],
        default={},
        metavar="MAPPING",
        help="Changes to the preset, such as {local: {scale: [0.1, 0.3]}}.",
    )
    parser.add_argument(
        "--inject", type=float, default=0.0, help="Share of views taken from other images, to check the arbiter."
    )
    parser.add_argument(
        "--backbone", type=str | None, default=None, help="Without a run: timm model whose features the arbiter sees."
    )
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        metavar="FILE",
        help="File with the weights of the backbone; null: random ones.",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="Seconds for training an arbiter if there is no trained one (two arbiters for groups).",
    )
    parser.add_argument(
        "--images",
        type=int | None,
        default=None,
        help="Number of images in the gallery, if a picture is written; null: 8. A page shows all.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Seed of the views and of the choice of images.")
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


COMMAND = Command("show which views of images are outliers, with or without a run", parser, run)
