"""The `uota` command: pretrain, evaluate, transfer, compare, embed, export, inspect, shard, methods, demo."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace

from uota.arguments import Parser
from uota.errors import UotaError

# Exit codes: what a person can mend, and Ctrl-C as shells know it.
MENDABLE, INTERRUPTED = 2, 130
# Share of files in a wrong folder that says more about the arbiter than about the files.
TOO_MANY = 0.4


def main(arguments: list[str] | None = None) -> int:
    """Run a command; what a person can mend ends in one sentence and exit code 2."""
    parser, commands = _parser()
    try:
        chosen = parser.parse_args(_with_recipes(sys.argv[1:] if arguments is None else arguments))
        commands[chosen.command](chosen[chosen.command])
    except UotaError as error:
        print(f"uota: {error}", file=sys.stderr)
        return MENDABLE
    except KeyboardInterrupt:
        print("uota: stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


def pretrain(options: Namespace) -> None:
    """Pretrain an encoder on a folder of images, without labels."""
    from uota.config import Pretrain
    from uota.runs import Run
    from uota.training.pretrain import pretrain as start

    values = options.as_dict()
    out = Path(values.pop("out"))
    resume, overwrite = values.pop("resume"), values.pop("overwrite")
    values.pop("config", None)
    settings = Run(out).settings() if resume else Pretrain(**values)
    run = start(settings, out, resume=resume, overwrite=overwrite)
    print(f"the run is in {run.folder}; next: uota inspect {run.folder}; with labels: uota evaluate knn {run.folder}")


def evaluate(options: Namespace) -> None:
    """Accuracy of an encoder on labelled images."""
    from uota.collectives import rank
    from uota.evaluation.evaluate import evaluate as start
    from uota.protocols import SETTINGS

    protocol = options.protocol
    values = options[protocol].as_dict()
    origin, data, out = _origin(values), values.pop("data"), values.pop("out")
    result = start(protocol, origin, SETTINGS[protocol][0](**values), data, out)
    if rank() == 0:
        print(f"{protocol}: " + "  ".join(f"{name} {_short(value)}" for name, value in asdict(result).items()))


def transfer(options: Namespace) -> None:
    """Average precision of a detector on an encoder, trained on COCO."""
    from uota.transfer.average_precision import describe
    from uota.transfer.settings import Transfer
    from uota.transfer.transfer import transfer as start

    task = options.task
    values = options[task].as_dict()
    origin, out = _origin(values), values.pop("out")
    resume, overwrite = values.pop("resume"), values.pop("overwrite")
    precision = start(task, origin, None if resume else Transfer(**values), out, resume, overwrite)
    if precision is not None:
        print(f"{task}: {describe(precision)}")


def compare(options: Namespace) -> None:
    """Print the evaluations of runs as a table."""
    from uota.comparison import FORMATS
    from uota.comparison import compare as start

    found = start(Path(run).expanduser() for run in options.runs)
    print(FORMATS[options.to](found))
    for note in found.notes:
        print(f"uota: {note}", file=sys.stderr)


def embed(options: Namespace) -> None:
    """Write the embedding of every image, and what the arbiter says of its views."""
    from uota.embedding import embed as start

    rows = start(Path(options.run), Path(options.out), options.data, options.seed)
    print(f"{rows} images are in {options.out}")


def export(options: Namespace) -> None:
    """Write an encoder as another library reads it."""
    from uota.export import export as start

    values = options.as_dict()
    origin = _origin(values)
    print(start(origin, values["to"], Path(values["out"])))


def inspect(options: Namespace) -> None:
    """Show which views of images are outliers."""
    from uota.inspection.command import inspect_and_write

    values = options.as_dict()
    out, files, table = Path(values.pop("out")), values.pop("files"), values.pop("table")
    found = inspect_and_write(values.pop("what"), out, files, table, **values)
    rate = "not estimated" if found.outlier_rate is None else f"{100 * found.outlier_rate:.1f} %"
    means = ", ".join(f"{mean:.2f}" for mean in found.mean_weight)
    doubt = _doubt(found.outlier_rate)
    print(f"estimated share of outlier views: {rate}{doubt}; mean weight by size of view: {means}; written: {out}")
    if found.misfiled is not None:
        listed = f"{_doubt(found.misfiled)}; all files, worst first: {files}" if files else _doubt(found.misfiled)
        print(f"estimated share of files in a wrong folder: {100 * found.misfiled:.1f} %{listed}")


def _doubt(rate: float | None) -> str:
    """What an estimate means that says more about the arbiter than about the views."""
    if rate is None or rate <= TOO_MANY:
        return ""
    return " (so many that it probably cannot tell: give more --seconds, or a run more epochs)"


def shard(options: Namespace) -> None:
    """Write a folder of images as tar shards."""
    from uota.data.sharding import shard as write
    from uota.data.source import printable

    written = write(Path(options.folder).expanduser(), Path(options.out).expanduser(), options.shard_size)
    for path in written.left_out:
        print(f"left out, cannot be read: {printable(path)}")
    print(
        f"{written.images} images are in {len(written.shards)} shard(s); "
        f"next: uota pretrain --data {printable(written.shards[0].parent)}"
    )


def methods(options: Namespace) -> None:
    """Print the table of methods."""
    from rich.console import Console

    from uota.report.methods import table_of_methods

    Console().print(table_of_methods())


def demo(options: Namespace) -> None:
    """Pretrain with and without arbitration on the embedded scenes, and compare."""
    from uota.demo import run_demo

    run_demo(Path(options.out), options.seed, options.epochs)


def _parser() -> tuple[Parser, dict[str, Callable[[Any], None]]]:
    parser = Parser(
        prog="uota", description="Self-supervised learning that notices which views no longer show their image."
    )
    commands = parser.add_subcommands(dest="command", metavar="COMMAND")
    for add in PARSERS:
        name, made, description = add()
        commands.add_subcommand(name, made, help=description)
        if name in KINDS:
            KINDS[name](made)
    return parser, {command.__name__: command for command in COMMANDS}


def _with_recipes(arguments: list[str]) -> list[str]:
    """`--config NAME` of a recipe, where there is no such file, becomes the recipe's file."""
    from uota.recipes import recipe_file

    found, after_config = [], False
    for argument in arguments:
        flag, equals, value = argument.rpartition("=")
        if (after_config or flag == "--config") and not Path(value).exists():
            argument = f"{flag}{equals}{recipe_file(value)}"
        found.append(argument)
        after_config = argument == "--config"
    return found


def _pretrain_parser() -> tuple[str, Parser, str]:
    from uota.config import Pretrain

    parser = Parser(description="Pretrain an encoder. Told nothing: SwAV with arbitration on the demo scenes.")
    parser.add_argument(
        "--config", action="config", help="a YAML file with any of the settings below, or a recipe's name"
    )
    parser.add_argument("--out", type=str, default="runs/pretrain", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint, with its settings")
    parser.add_argument("--overwrite", action="store_true", help="throw away what is in the folder")
    parser.add_class_arguments(Pretrain, nested_key=None)
    return "pretrain", parser, "pretrain an encoder on images without labels"


def _evaluate_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Evaluate an encoder on labels; writes PROTOCOL.json into the run.")
    return "evaluate", parser, "accuracy on labels: linear, knn, linear-sgd, finetune"


def _add_protocols(parser: Parser) -> None:
    """Each protocol with its own settings. jsonargparse wants a parser to be in its place before it has commands."""
    from uota.protocols import SETTINGS, Origin

    protocols = parser.add_subcommands(dest="protocol", metavar="PROTOCOL")
    for name, (settings, description) in SETTINGS.items():
        made = Parser(description=description)
        made.add_class_arguments(Origin, nested_key=None, as_positional=True)
        made.add_argument("--data", type=str | None, default=None, help="labelled images; null: the run's")
        made.add_argument("--out", type=str | None, default=None, help="folder of the result; null: the run's")
        made.add_class_arguments(settings, nested_key=None)
        protocols.add_subcommand(name, made, help=description)


def _transfer_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Train a detector on an encoder, and measure it; a folder in the run holds it.")
    return "transfer", parser, "average precision on COCO: detection, segmentation, keypoints"


def _add_tasks(parser: Parser) -> None:
    """Each task of a transfer."""
    from uota.protocols import Origin
    from uota.transfer.settings import TASKS, Transfer

    tasks = parser.add_subcommands(dest="task", metavar="TASK")
    for name, description in TASKS.items():
        made = Parser(description=description)
        made.add_class_arguments(Origin, nested_key=None, as_positional=True)
        made.add_argument("--out", type=str | None, default=None, help="folder; null: the run's, with the task's name")
        made.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint, with its settings")
        made.add_argument("--overwrite", action="store_true", help="throw away what is in the folder")
        made.add_class_arguments(Transfer, nested_key=None)
        tasks.add_subcommand(name, made, help=description)


def _origin(values: dict[str, Any]) -> Any:
    """Takes what tells of an encoder out of a command's values."""
    from uota.protocols import Origin

    return Origin(**{field.name: values.pop(field.name) for field in fields(Origin)})


def _compare_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Print runs and their evaluations as a table, and what arbitration gains.")
    parser.add_argument("runs", type=str, nargs="+", help="folders of runs, or of runs' folders")
    parser.add_argument(
        "--to", type=Literal["text", "markdown", "csv", "latex", "html"], default="text", help="who shall read it"
    )
    return "compare", parser, "evaluations of runs side by side, over seeds, with the gain by arbitration"


def _embed_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Write one row for each image: embedding, weight of its views, label.")
    parser.add_argument("run", type=str, help="a run's folder")
    parser.add_argument("--data", type=str | None, default=None, help="a folder of images; null: the run's")
    parser.add_argument("--out", type=str, required=True, help="a .parquet or .csv file")
    parser.add_argument("--seed", type=int, default=0, help="of the views that are weighed")
    return "embed", parser, "embeddings of images, and the weights of their views, as a table"


def _export_parser() -> tuple[str, Parser, str]:
    from uota.protocols import Origin

    parser = Parser(description="Write an encoder as another library reads it.")
    parser.add_class_arguments(Origin, nested_key=None, as_positional=True)
    parser.add_argument(
        "--to", type=Literal["timm", "torchvision", "safetensors", "onnx"], required=True, help="who shall read it"
    )
    parser.add_argument("--out", type=str, required=True, help="the file")
    return "export", parser, "the encoder for timm, torchvision, safetensors or ONNX"


def _inspect_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="A page about images, their views and the weights of these, in one file.")
    parser.add_argument(
        "what",
        type=str,
        nargs="*",
        default=[],
        help="a run's folder, then others to draw beside; or images: a folder or a name; nothing: demo-scenes",
    )
    parser.add_argument(
        "--data", type=str | None, default=None, help="a folder of images; null: the run's, or demo-scenes"
    )
    parser.add_argument(
        "--out", type=str, default="inspect.html", help="the page; .png or another picture: the gallery alone"
    )
    parser.add_argument("--views", type=str, default="auto", help="as in uota pretrain --views")
    parser.add_argument(
        "--view_options",
        type=dict[str, dict[str, Any]],
        default={},
        help="changes to it, as in uota pretrain --view_options",
    )
    parser.add_argument(
        "--files", type=str | None, default=None, help="of groups: a CSV of all files, those in a wrong folder first"
    )
    parser.add_argument("--table", type=str | None, default=None, help="a .parquet or .csv file with a row per view")
    parser.add_argument("--inject", type=float, default=0.0, help="share of views taken from other images, as a check")
    parser.add_argument("--backbone", type=str | None, default=None, help="without a run: look through this timm model")
    parser.add_argument("--weights", type=str | None, default=None, help="of the backbone: a file; null: random")
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="how long an arbiter learns, where a run has none; for groups two do",
    )
    parser.add_argument(
        "--images", type=int | None, default=None, help="how many to show; null: 60, in a picture alone 8"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the views and of the choice of images")
    return "inspect", parser, "see which views of images are outliers, with or without a run"


def _shard_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Write a folder of images as tar shards, which need no unpacking to train on.")
    parser.add_argument("folder", type=str, help="of images; its splits and classes stay")
    parser.add_argument("--out", type=str, required=True, help="folder of the shards; the same call goes on with it")
    parser.add_argument("--shard_size", type=int, default=256, help="of a shard, in MB")
    return "shard", parser, "a folder of images as tar shards (WebDataset)"


def _methods_parser() -> tuple[str, Parser, str]:
    parser = Parser(description="Which methods there are, and what the weights act on in each.")
    return "methods", parser, "the table of methods"


def _demo_parser() -> tuple[str, Parser, str]:
    from uota.config import DEMO_EPOCHS

    parser = Parser(description="SwAV on the demo scenes, without and with arbitration, side by side.")
    parser.add_argument("--out", type=str, default="runs/demo", help="folder of both runs")
    parser.add_argument("--seed", type=int, default=0, help="of both runs")
    parser.add_argument("--epochs", type=int, default=DEMO_EPOCHS, help="of both runs")
    return "demo", parser, "what arbitration is worth on the embedded scenes, in minutes"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


COMMANDS = (pretrain, evaluate, transfer, compare, embed, export, inspect, shard, methods, demo)
PARSERS = (
    _pretrain_parser,
    _evaluate_parser,
    _transfer_parser,
    _compare_parser,
    _embed_parser,
    _export_parser,
    _inspect_parser,
    _shard_parser,
    _methods_parser,
    _demo_parser,
)
# Commands of several kinds, each with settings of its own.
KINDS: dict[str, Callable[[Parser], None]] = {"evaluate": _add_protocols, "transfer": _add_tasks}


if __name__ == "__main__":
    sys.exit(main())
