"""`uota export`."""

from typing import Literal

from jsonargparse import Namespace

from uota.commands.parser import Command, add_own_method, drop_own_method, take_origin
from uota.settings.evaluation import EncoderSpec
from uota.settings.parsing import Parser


def parser() -> Parser:
    """An encoder, and who shall read it."""
    parser = Parser(description="Write an encoder as another library reads it.")
    parser.add_class_arguments(EncoderSpec, nested_key=None, as_positional=True)
    parser.add_argument(
        "--to", type=Literal["timm", "torchvision", "safetensors", "onnx"], required=True, help="who shall read it"
    )
    parser.add_argument("--out", type=str, required=True, help="the file")
    add_own_method(parser)
    return parser


def run(options: Namespace) -> None:
    """Write an encoder as another library reads it."""
    from uota.io.outputs import path_of
    from uota.runs.export import export

    values = options.as_dict()
    drop_own_method(values)
    origin = take_origin(values)
    print(export(origin, values["to"], path_of(values["out"])))


COMMAND = Command("the encoder for timm, torchvision, safetensors or ONNX", parser, run)
