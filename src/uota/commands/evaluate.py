"""`uota evaluate PROTOCOL`."""

import json
from dataclasses import asdict

from jsonargparse import Namespace

from uota.commands.parser import Command, add_own_method, add_reading, drop_own_method, take_origin, take_reading
from uota.settings.evaluation import SETTINGS, EncoderSpec
from uota.settings.parsing import Parser


def parser() -> Parser:
    """The protocols follow."""
    return Parser(description="Evaluate an encoder on labels; writes PROTOCOL.json into the run.")


def add_protocols(parser: Parser) -> None:
    """Each protocol with its own settings."""
    protocols = parser.add_subcommands(dest="protocol", metavar="PROTOCOL")
    for name, (settings, description) in SETTINGS.items():
        made = Parser(description=description)
        made.add_class_arguments(EncoderSpec, nested_key=None, as_positional=True)
        made.add_argument("--data", type=str | None, default=None, help="labelled images; null: the run's")
        made.add_argument("--out", type=str | None, default=None, help="folder of the result; null: the run's")
        add_reading(made)
        add_own_method(made)
        made.add_class_arguments(settings, nested_key=None)
        protocols.add_subcommand(name, made, help=description)


def run(options: Namespace) -> None:
    """Accuracy of an encoder on labelled images."""
    from uota.distributed import rank
    from uota.evaluation.evaluate import evaluate

    protocol = options.protocol
    values = options[protocol].as_dict()
    drop_own_method(values)
    origin, reading, data, out = take_origin(values), take_reading(values), values.pop("data"), values.pop("out")
    result = evaluate(protocol, origin, SETTINGS[protocol][0](**values), data, out, reading)
    if rank() == 0:
        told = {name: value for name, value in asdict(result).items() if not isinstance(value, dict)}
        print(f"{protocol}: " + "  ".join(f"{name} {_short(value)}" for name, value in told.items()))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


COMMAND = Command("accuracy on labels: linear, knn, linear-sgd, finetune", parser, run, add_protocols)
