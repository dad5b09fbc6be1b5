"""`uota shard`."""

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser
from uota.settings.pretrain import IMAGE_MEGABYTES


def parser() -> CommandParser:
    """Make the parser of the two folders and the sizes."""
    parser = CommandParser(
        "uota shard",
        "FOLDER --out SHARDS [options]",
        "Write a folder of images as tar shards, which are trained on without being unpacked.",
        ("uota shard photos --out shards", "uota pretrain --data shards"),
    )
    parser.add_argument("folder", type=str, help="Folder of images; its splits and classes are kept.")
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        metavar="SHARDS",
        help="Folder of the shards; after an interruption the same command resumes.",
    )
    parser.add_argument("--shard_size", type=int, default=256, help="Size of a shard in megabytes.")
    parser.add_argument(
        "--image_megabytes",
        type=int,
        default=IMAGE_MEGABYTES,
        help="Leave out images that take more megabytes than this once decoded.",
    )
    return parser


def run(options: Namespace) -> None:
    """Write a folder of images as tar shards."""
    from uota.console import printable
    from uota.data.packed.sharding import shard
    from uota.io.outputs import check_writable_folder, path_of

    out = path_of(options.out)
    check_writable_folder(out)
    written = shard(path_of(options.folder), out, options.shard_size, options.image_megabytes)
    for path in written.left_out:
        print(f"left out, cannot be read: {printable(path)}")
    for sentence in written.unused.sentences():
        print(f"{printable(options.folder)}: {sentence}")
    print(
        f"{written.images} images are in {len(written.shards)} shard(s); "
        f"next: uota pretrain --data {printable(written.shards[0].parent)}"
    )


COMMAND = Command("write a folder of images as tar shards (WebDataset)", parser, run)
