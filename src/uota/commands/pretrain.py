"""`uota pretrain`."""

import sys
from typing import Any

from jsonargparse import Namespace

from uota.commands.parser import Command, add_resume
from uota.console import printable
from uota.settings.parsing import Parser, SettingsFile, add_sections, build_settings
from uota.settings.pretrain import FLAT, OLD_NAMES, Pretrain

# Flags of settings that people type often, by their flat names.
SHORT = {"lr": "learning_rate"}


def parser() -> Parser:
    """Every setting of a run is a flag."""
    parser = Parser(description="Pretrain an encoder. Told nothing: SwAV with arbitration on the demo scenes.")
    parser.add_argument(
        "--config", action=SettingsFile, help="a YAML file with any of the settings below, or a recipe's name"
    )
    parser.add_argument("--out", type=str, default="runs/pretrain", help="the run's folder")
    add_resume(parser)
    add_sections(parser)
    parser.aliases = {name: f"{section}.{key}" for name, (section, key) in FLAT.items()}
    parser.aliases |= {name: parser.aliases[flat] for name, flat in (OLD_NAMES | SHORT).items()}
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
    given = build_settings(Pretrain, values)
    settings = Run(out).settings() if resume else given
    if resume:
        _warn_other_settings(given.as_flat(), settings.as_flat())
    made = pretrain(settings, out, resume=resume, overwrite=overwrite)
    folder, flag = printable(made.folder), method_flag(settings.method.name)
    print(f"the run is in {folder}; next: uota inspect {folder}{flag}; with labels: uota evaluate knn {folder}{flag}")


def _warn_other_settings(values: dict[str, Any], its: dict[str, Any]) -> None:
    """Say which settings that were asked for are not those of the run that is resumed."""
    from uota.data.places import located

    asked, default = values | {"data": located(values["data"])}, Pretrain().as_flat()
    for name in default:
        if asked[name] != default[name] and asked[name] != its[name]:
            given = printable(str(asked[name]))
            print(f"--resume takes the run's settings: {name} stays {its[name]}, not {given}", file=sys.stderr)


COMMAND = Command("pretrain an encoder on images without labels", parser, run)
