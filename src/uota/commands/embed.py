"""`uota embed`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_data, add_encoder, add_reading, take_encoder, take_reading


def parser() -> CommandParser:
    """Make the parser of the run, its data and the table."""
    parser = CommandParser(
        "uota embed",
        "RUN --out FILE [--data FOLDER] [options]",
        "Write a table with one row per image: its embedding, the weight of its views and its label.",
        ("uota embed runs/photos --out table.parquet", "uota embed pretrained --data photos --out photos.csv"),
    )
    add_encoder(parser)
    add_data(parser, "Images", "the run's")
    parser.add_argument("--out", type=str, required=True, metavar="FILE", help="Table to write, .parquet or .csv.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the views that are weighed.")
    add_reading(parser)
    return parser


def run(options: Namespace) -> None:
    """Write the embedding of every image, and what the arbiter says of its views."""
    from uota.console import printable
    from uota.distributed import joined_ranks, rank
    from uota.evaluation.embed import embed
    from uota.io.outputs import path_of

    values = options.as_dict()
    with joined_ranks():
        rows = embed(take_encoder(values), path_of(options.out), options.data, options.seed, take_reading(values))
        if rank() == 0:
            print(f"{rows} images are in {printable(options.out)}")


COMMAND = Command("write the embeddings of images and the weights of their views as a table", parser, run)
