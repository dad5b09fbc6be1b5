"""`uota inspect`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_data, add_own_method, add_reading, drop_own_method

if TYPE_CHECKING:
    from uota.inspection.api import Inspection

# An estimated share of outliers above this says more about the arbiter than about the views or files.
TOO_MANY = 0.4


def parser() -> CommandParser:
    """Make the parser of what to look at, by which arbiter, and what to write."""
    parser = CommandParser(
        "uota inspect",
        "[RUN ... | FOLDER] [options]",
        "Write a page that shows which views of images are outliers, with or without a run. The same command gives the "
        "same page.",
        (
            "uota inspect photos",
            "uota inspect runs/photos runs/other --out photos.html",
            "uota inspect photos --views groups",
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
    add_data(parser, "Images", "the run's, or demo-scenes")
    _add_outputs(parser)
    _add_views(parser)
    _add_eyes(parser)
    parser.add_argument(
        "--images",
        type=int | None,
        default=None,
        help="Number of images to inspect, drawn at random, or to draw if a picture is written; null: all, or 8.",
    )
    parser.replaced = {"files": "uota misfiled FOLDER --table FILE, which lists the files that do not belong"}
    parser.add_argument("--seed", type=int, default=0, help="Seed of the views and of the choice of the arbiter.")
    add_reading(parser)
    add_own_method(parser)
    return parser


def _add_outputs(parser: CommandParser) -> None:
    """Add the files to write."""
    parser.add_argument(
        "--out",
        type=str,
        default="inspect.html",
        metavar="FILE",
        help="Page to write; the suffix of a picture, such as .png, writes only the gallery.",
    )
    parser.add_argument(
        "--table",
        type=str | None,
        default=None,
        metavar="FILE",
        help="Table to write with one row per view, .parquet or .csv.",
    )
    parser.add_argument(
        "--quality",
        type=str | None,
        default=None,
        metavar="FILE",
        help="CSV to write with exact and near duplicates, and with empty, dark, washed-out, blurred, tiny and oddly "
        "shaped pictures.",
    )


def _add_views(parser: CommandParser) -> None:
    """Add how views are made."""
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


def _add_eyes(parser: CommandParser) -> None:
    """Add what an arbiter sees with, and how long its head is trained."""
    parser.add_argument(
        "--eyes",
        type=str,
        default="auto",
        metavar="NAME|FILE",
        help="What an arbiter sees with that is no run's: pretrained (ImageNet weights that are installed along), "
        "thumbnails, the name of a timm model, a file of weights, or a run. auto: pretrained or thumbnails, whichever "
        "finds exchanged views better.",
    )
    parser.add_argument(
        "--backbone",
        type=str | None,
        default=None,
        help="Network of a file of weights given as --eyes, if it cannot be inferred.",
    )
    parser.add_argument(
        "--steps",
        type=int | None,
        default=None,
        help="Training steps of the arbiter's head; 0: none is trained. null: the best of several numbers.",
    )


def run(options: Namespace) -> None:
    """Show which views of images are outliers."""
    from uota.distributed import joined_ranks, rank
    from uota.inspection.command import inspect_and_write
    from uota.io.outputs import path_of

    values = options.as_dict()
    drop_own_method(values)
    out = path_of(values.pop("out"))
    with joined_ranks():
        found, is_first = inspect_and_write(values.pop("what") or [], out, **values), rank() == 0
    if is_first:
        _tell(found, out)


def _tell(found: "Inspection", out: Path) -> None:
    """Print what was found, and where it is shown."""
    from uota.console import printable

    means = ", ".join(f"{mean:.2f}" for mean in found.mean_weight)
    shown = f"mean weight by size of view: {means}; written: {printable(out)}"
    none = "; no outliers found" if found.none_found else ""
    print(f"estimated share of outlier views: {found.share_in_words}{none}{_doubt(found, found.outlier_rate)}; {shown}")
    if found.subject.groups is not None:
        print(f"which files are in the wrong folder: uota misfiled {shlex.quote(printable(found.subject.source.name))}")


def _doubt(found: "Inspection", rate: float | None) -> str:
    """What an estimate means that says more about the arbiter or the pictures than about the views."""
    if rate is None or rate <= TOO_MANY:
        return ""
    if found.quality.is_mostly_copies:
        return " (not to be relied on: most pictures are exact duplicates, whose views fit one as well as another)"
    return " (so many that it probably cannot tell: choose other --eyes, or give a run more epochs)"


COMMAND = Command("show which views of images are outliers, with or without a run", parser, run)
