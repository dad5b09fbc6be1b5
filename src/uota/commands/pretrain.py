"""`uota pretrain`."""

import sys
from typing import Any

from jsonargparse import Namespace

from uota.commands.parser import Command, add_resume
from uota.console import printable
from uota.settings.parsing import Parser
from uota.settings.pretrain import Pretrain


def parser() -> Parser:
    """Every setting of a run is a flag."""
    parser = Parser(description="Pretrain an encoder. Told nothing: SwAV with arbitration on the demo scenes.")
    parser.add_argument(
        "--config", action="config", help="a YAML file with any of the settings below, or a recipe's name"
    )
    parser.add_argument("--out", type=str, default="runs/pretrain", help="the run's folder")
    add_resume(parser)
    parser.add_class_arguments(Pretrain, nested_key=None)
    return parser


def run(options: Namespace) -> None:
    """Pretrain an encoder on a folder of images, without labels."""
    from uota.io.outputs import check_writable_folder, path_of
    from uota.methods.own import method_flag
    from uota.runs.run import Run
    from uota.training.pretrain import pretrain

    values = options.as_dict()
    out = path_of(values.pop("out"))
    check_writable_folder(out)
    resume, overwrite = values.pop("resume"), values.pop("overwrite")
    values.pop("config", None)
    settings = Run(out).settings() if resume else Pretrain(**values)
    if resume:
        _warn_other_settings(values, settings)
    made = pretrain(settings, out, resume=resume, overwrite=overwrite)
    folder, flag = printable(made.folder), method_flag(settings.method)
    print(f"the run is in {folder}; next: uota inspect {folder}{flag}; with labels: uota evaluate knn {folder}{flag}")


def _warn_other_settings(values: dict[str, Any], settings: Pretrain) -> None:
    """Say which settings that were asked for are not those of the run that is resumed."""
    from uota.data.places import located

    asked, default, its = values | {"data": located(values["data"])}, Pretrain().as_dict(), settings.as_dict()
    for name in default:
        if asked[name] != default[name] and asked[name] != its[name]:
            given = printable(str(asked[name]))
            print(f"--resume takes the run's settings: {name} stays {its[name]}, not {given}", file=sys.stderr)


COMMAND = Command("pretrain an encoder on images without labels", parser, run)
