"""`uota embed`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, add_own_method, add_reading, drop_own_method, take_reading
from uota.settings.parsing import Parser


def parser() -> Parser:
    """A run, and where the table goes."""
    parser = Parser(description="Write one row for each image: embedding, weight of its views, label.")
    parser.add_argument("run", type=str, help="a run's folder")
    parser.add_argument("--data", type=str | None, default=None, help="a folder of images; null: the run's")
    parser.add_argument("--out", type=str, required=True, help="a .parquet or .csv file")
    parser.add_argument("--seed", type=int, default=0, help="of the views that are weighed")
    add_reading(parser)
    add_own_method(parser)
    return parser


def run(options: Namespace) -> None:
    """Write the embedding of every image, and what the arbiter says of its views."""
    from uota.console import printable
    from uota.evaluation.embed import embed
    from uota.io.outputs import path_of

    values = options.as_dict()
    drop_own_method(values)
    rows = embed(path_of(options.run), path_of(options.out), options.data, options.seed, take_reading(values))
    print(f"{rows} images are in {printable(options.out)}")


COMMAND = Command("embeddings of images, and the weights of their views, as a table", parser, run)
