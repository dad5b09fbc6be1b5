"""`uota evaluate PROTOCOL`."""

import json
from contextlib import nullcontext
from dataclasses import asdict

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_data, add_encoder, add_reading, take_encoder, take_reading
from uota.settings.evaluation import SETTINGS, NoSettings

EXAMPLES = {
    "linear": ("uota evaluate linear runs/photos", "uota evaluate linear resnet50.a1_in1k --data photos --out results"),
    "knn": ("uota evaluate knn runs/photos", "uota evaluate knn moco.pth --data photos --out results"),
    "linear-sgd": ("uota evaluate linear-sgd runs/photos --protocol swav --batch-size 256",),
    "finetune": ("uota evaluate finetune runs/photos --labels 1%",),
}


def parser() -> CommandParser:
    """Make the parser, to which `add_protocols` adds."""
    return CommandParser(
        "uota evaluate",
        "PROTOCOL RUN [options]",
        "Evaluate an encoder on labelled images, and write PROTOCOL.json into the folder of the run.",
        ("uota evaluate knn runs/photos", "uota evaluate finetune runs/photos --labels 1%"),
    )


def add_protocols(parser: CommandParser) -> None:
    """Add a sub-command for each protocol, with its own settings."""
    made = {name: (_protocol_parser(name), description) for name, (_, description) in SETTINGS.items()}
    parser.add_commands("protocol", "protocols (uota evaluate PROTOCOL --help says more)", made)


def _protocol_parser(name: str) -> CommandParser:
    settings, description = SETTINGS[name]
    sentence = f"{description[0].upper()}{description[1:]}."
    made = CommandParser(f"uota evaluate {name}", "RUN [--data FOLDER] [options]", sentence, EXAMPLES[name])
    add_encoder(made)
    add_data(made, "Labelled images", "the run's")
    made.add_argument(
        "--out", type=str | None, default=None, metavar="FOLDER", help="Folder of the result; null: the run's."
    )
    add_reading(made)
    made.add_class_arguments(settings, nested_key=None)
    made.set_title(settings.__name__, "training")
    return made


def run(options: Namespace) -> None:
    """Evaluate an encoder on labelled images, and print its accuracy."""
    from uota.distributed import joined_ranks, rank
    from uota.evaluation.evaluate import evaluate

    protocol = options.protocol
    values = options[protocol].as_dict()
    origin, reading, data, out = take_encoder(values), take_reading(values), values.pop("data"), values.pop("out")
    kind = SETTINGS[protocol][0]
    with joined_ranks() if kind is NoSettings else nullcontext():  # elsewhere Lightning joins them
        result = evaluate(protocol, origin, kind(**values), data, out, reading)
        if rank() == 0:
            told = {name: value for name, value in asdict(result).items() if not isinstance(value, dict)}
            print(f"{protocol}: " + "  ".join(f"{name} {_short(value)}" for name, value in told.items()))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


COMMAND = Command("measure accuracy on labels: linear, knn, linear-sgd, finetune", parser, run, add_protocols)
