"""`uota export`."""

from typing import Literal

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_encoder, take_encoder


def parser() -> CommandParser:
    """Make the parser of the encoder and the output format."""
    parser = CommandParser(
        "uota export",
        "RUN --to FORMAT --out FILE [options]",
        "Write an encoder in the format of another library.",
        ("uota export runs/photos --to timm --out encoder.pth", "uota export runs/photos --to onnx --out encoder.onnx"),
    )
    add_encoder(parser)
    parser.add_argument(
        "--to", type=Literal["timm", "torchvision", "safetensors", "onnx"], required=True, help="Output format."
    )
    parser.add_argument("--out", type=str, required=True, metavar="FILE", help="File to write.")
    return parser


def run(options: Namespace) -> None:
    """Write an encoder as another library reads it."""
    from uota.io.outputs import path_of
    from uota.runs.export import export

    values = options.as_dict()
    origin = take_encoder(values)
    print(export(origin, values["to"], path_of(values["out"])))


COMMAND = Command("write an encoder for timm, torchvision, safetensors or ONNX", parser, run)
