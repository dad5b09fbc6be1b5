"""`uota misfiled`."""

from typing import Any

from jsonargparse import Namespace

from uota.commands.misfiled_moves import add_apply_arguments, apply_from
from uota.commands.parser import Command, CommandParser, add_own_method, add_reading, drop_own_method, take_reading


def parser() -> CommandParser:
    """Make the parser of the members, what they are seen with, and what to write."""
    parser = CommandParser(
        "uota misfiled",
        "SOURCE [options]",
        "List the members of groups that do not belong there, worst first, as a page and a table: pictures in folders, "
        "or the rows of any table with embeddings. Nothing is trained. The same command gives the same list.",
        (
            "uota misfiled photos",
            "uota misfiled photos --apply moves.csv",
            "uota misfiled runs/photos --table misfiled.parquet",
            "uota misfiled table.parquet --group product_id --embedding vector --id file",
            "uota misfiled table.csv --group product_id --embedding emb_",
            "uota misfiled vectors.npy --group table.csv:product_id",
            "uota misfiled 'shards-{000..099}.tar' --group product_id",
        ),
    )
    parser.add_argument(
        "source",
        type=str,
        metavar="SOURCE",
        help="Folder of pictures, whose lowest folders are the groups; demo-drawings; a run, for its pictures and its "
        "encoder; a table (.parquet, .csv, .arrow, .feather); an array (.npy) with its groups in a table; a data set "
        "that Hugging Face's datasets saved, or tar shards, with embeddings or pictures.",
    )
    _add_outputs(parser)
    _add_columns(parser)
    _add_eyes(parser)
    add_apply_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="Seed of the exchanges that choose the score.")
    add_own_method(parser)
    return parser


def _add_outputs(parser: CommandParser) -> None:
    """Add the files to write."""
    parser.add_argument(
        "--out",
        type=str,
        default="misfiled.html",
        metavar="FILE",
        help="Page to write, .html: the members that probably do not belong, beside those of both groups. Marks that a "
        "person sets there are saved as moves.csv, which --apply reads.",
    )
    parser.add_argument(
        "--table",
        type=str,
        default="misfiled.csv",
        metavar="FILE",
        help="Table to write with one row per member, worst first, .csv or .parquet.",
    )
    parser.add_argument(
        "--groups_table",
        type=str | None,
        default=None,
        metavar="FILE",
        help="Table to write with one row per group: its size, how many of it are expected to be wrong, whether it "
        "looks like two things or like another group; .csv or .parquet.",
    )
    parser.add_argument(
        "--export",
        type=str | None,
        default=None,
        metavar="FOR=PATH",
        help="Labels to write for another tool, of files in folders: fiftyone=FILE.json, or lightly-studio=FOLDER for "
        "two files in COCO's format.",
    )


def _add_columns(parser: CommandParser) -> None:
    """Add the columns of tables."""
    columns = parser.add_argument_group(
        "columns of tables, fields of tar samples",
        "One that is not named is guessed if there is only one that it can be. Rows without an embedding or a group "
        "are left out, with a message.",
    )
    columns.add_argument(
        "--group",
        type=str | None,
        default=None,
        metavar="COLUMN",
        help="Column of groups. For an array vectors.npy: a column of vectors.csv (or .parquet) beside it; "
        "TABLE:COLUMN of another table with as many rows; or a .npy file of groups. In tar samples: the text of the "
        "file with this extension (cls, txt), or an entry of .json.",
    )
    columns.add_argument(
        "--embedding",
        type=str | None,
        default=None,
        metavar="COLUMN",
        help="Column of lists of numbers, or the prefix of numbered columns, such as emb_ for emb_0, emb_1, ... "
        "Without one, the pictures of a saved data set or of tar shards are looked at.",
    )
    columns.add_argument(
        "--id",
        type=str | None,
        default=None,
        metavar="COLUMN",
        help="Column of the members' names. Without one, they are known by their row, counted from 0.",
    )


def _add_eyes(parser: CommandParser) -> None:
    """Add what pictures are seen with, and how they are read."""
    eyes = parser.add_argument_group("pictures")
    eyes.add_argument(
        "--eyes",
        type=str,
        default="auto",
        metavar="NAME|FILE",
        help="What pictures are seen with: pretrained (ImageNet weights that are installed along), thumbnails, the "
        "name of a timm model, a file of weights, or a run. auto: the encoder of the run that is given, or pretrained.",
    )
    eyes.add_argument(
        "--backbone",
        type=str | None,
        default=None,
        help="Network of a file of weights given as --eyes, if it cannot be inferred.",
    )
    add_reading(parser)


def run(options: Namespace) -> None:
    """List the members that do not belong to their group."""
    from uota.distributed import joined_ranks
    from uota.errors import UotaError
    from uota.io.outputs import path_of
    from uota.membership.command import Outputs, judge_and_write
    from uota.membership.inputs.columns import Wanted
    from uota.membership.inputs.open import Named

    values: dict[str, Any] = options.as_dict()
    drop_own_method(values)
    approved, yes, new_groups = (values.pop(name) for name in ("apply", "yes", "new_groups"))
    if approved is not None:
        apply_from(path_of(values["source"]), path_of(approved), yes, new_groups)
        return
    if yes or new_groups:
        raise UotaError("--yes and --new-groups belong to --apply; give the list of moves")
    wanted = Wanted(values["group"], values["embedding"], values["id"])
    named = Named(values["source"], wanted, values["eyes"], values["backbone"], take_reading(values))
    outputs = Outputs(values["out"], values["table"], values["groups_table"], values["export"])
    with joined_ranks():
        for line in judge_and_write(named, outputs, values["seed"]):
            print(line)


COMMAND = Command("list the members of groups that do not belong there, of pictures or any embeddings", parser, run)
