"""`uota export`."""

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from uota.arguments import Parser
from uota.commands.command import Command, take_origin
from uota.protocols import Origin


def parser() -> Parser:
    """An encoder, and who shall read it."""
    parser = Parser(description="Write an encoder as another library reads it.")
    parser.add_class_arguments(Origin, nested_key=None, as_positional=True)
    parser.add_argument(
        "--to", type=Literal["timm", "torchvision", "safetensors", "onnx"], required=True, help="who shall read it"
    )
    parser.add_argument("--out", type=str, required=True, help="the file")
    return parser


def run(options: Namespace) -> None:
    """Write an encoder as another library reads it."""
    from uota.export import export

    values = options.as_dict()
    origin = take_origin(values)
    print(export(origin, values["to"], Path(values["out"])))


COMMAND = Command("the encoder for timm, torchvision, safetensors or ONNX", parser, run)
