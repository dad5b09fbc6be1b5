"""`uota shard`."""

from jsonargparse import Namespace

from uota.commands.parser import Command
from uota.settings.parsing import Parser
from uota.settings.pretrain import IMAGE_MEGABYTES


def parser() -> Parser:
    """From where to where."""
    parser = Parser(description="Write a folder of images as tar shards, which need no unpacking to train on.")
    parser.add_argument("folder", type=str, help="of images; its splits and classes stay")
    parser.add_argument("--out", type=str, required=True, help="folder of the shards; the same call goes on with it")
    parser.add_argument("--shard_size", type=int, default=256, help="of a shard, in MB")
    parser.add_argument(
        "--image_megabytes", type=int, default=IMAGE_MEGABYTES, help="larger images, decoded, are left out"
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


COMMAND = Command("a folder of images as tar shards (WebDataset)", parser, run)
