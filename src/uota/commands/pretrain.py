"""`uota pretrain`."""

import sys
from typing import Any

from jsonargparse import Namespace

from uota.commands.parser import Command, CommandParser, add_resume, take_resume
from uota.console import printable
from uota.settings.parsing import SettingsFile, add_sections, build_settings
from uota.settings.pretrain import FLAT, OLD_NAMES, OLD_PLACES, SECTIONS, Pretrain

CONFIG_HELP = "YAML file with any of the settings below, or the name of a recipe; flags after it override it."
# Flags of settings besides their flat names.
SHORT = {"lr": "learning_rate"}
WORSE = "train longer, on more images or at a lower rate, or use the weights that it started from"
# Flags that people type often, which help texts show before the section and name of the setting.
SHOWN = [
    "data",
    "views",
    "size",
    "method",
    "init",
    "backbone",
    "arbiter",
    "eyes",
    "method-options",
    "view-options",
    "epochs",
    "steps",
    "batch-size",
    "lr",
    "seed",
    "devices",
    "nodes",
    "strategy",
    "precision",
    "workers",
]


def parser() -> CommandParser:
    """Make the parser, which has a flag for every setting of a run."""
    parser = CommandParser(
        "uota pretrain",
        "[--data FOLDER] [--method NAME] [--out FOLDER] [options]",
        "Pretrain an encoder on images without labels. The defaults train SwAV with arbitration on the demo scenes. "
        "A flag also works without its section (--momentum is --optimization.momentum), except where a shorter name is "
        "shown before it.",
        (
            "uota pretrain --data photos --method simclr --epochs 100 --batch-size 256 --out runs/photos",
            "uota pretrain --config swav_imagenet --data imagenet --devices 8 --out runs/imagenet",
            "uota pretrain --resume --out runs/photos",
        ),
    )
    parser.add_argument("--config", action=SettingsFile, metavar="FILE", help=CONFIG_HELP)
    parser.add_argument("--out", type=str, default="runs/pretrain", metavar="FOLDER", help="Folder of the run.")
    add_resume(parser)
    add_sections(parser)
    parser.aliases = {name: f"{section}.{key}" for name, (section, key) in FLAT.items()}
    parser.aliases |= {name: parser.aliases[flat] for name, flat in (OLD_NAMES | SHORT).items()}
    parser.aliases |= {old: ".".join(place) for old, place in OLD_PLACES.items()}
    for section, kind in SECTIONS.items():
        parser.set_title(section, section, kind.__doc__)
    for alias in SHOWN:
        parser.show_alias(f"--{parser.aliases[alias.replace('-', '_')]}", f"--{alias}")
    parser.option("--data.source").metavar = "FOLDER"
    parser.option("--print_config").help = "Print the settings as YAML and exit."
    parser.option("--print_config").metavar = ""
    return parser


def run(options: Namespace) -> None:
    """Pretrain an encoder on a folder of images, without labels."""
    from uota.commands.next_commands import next_commands
    from uota.distributed import rank
    from uota.io.outputs import check_writable_folder, path_of
    from uota.runs.run import Run
    from uota.training.baseline import read_comparison
    from uota.training.pretrain import pretrain

    values = options.as_dict()
    out = path_of(values.pop("out"))
    check_writable_folder(out)
    resume, overwrite = take_resume(values)
    values.pop("config", None)
    given = build_settings(Pretrain, values)
    settings = Run(out).settings() if resume else given
    if resume and given.data.cache_in is not None and settings.data.cache is not None:  # the old place may be gone
        settings = settings.replace_flat(cache_in=given.data.cache_in)
    if resume:
        _warn_other_settings(given.as_flat(), settings.as_flat())
    made = pretrain(settings, out, resume=resume, overwrite=overwrite)
    if rank() == 0:
        print(f"the run is in {printable(made.folder)}; next:")
        print("\n".join(f"  {command}" for command in next_commands(made)))
        if (found := read_comparison(made.baseline_file)) and found.is_loss:
            doubt = f", by no more than chance on {found.images} images" if found.is_within_chance else ""
            print(f"the encoder ended below its start{doubt}: {found.line()}; {WORSE}")


def _warn_other_settings(values: dict[str, Any], its: dict[str, Any]) -> None:
    """Say which settings that were asked for are not those of the run that is resumed."""
    from uota.data.places import located
    from uota.runs.eyes import located_eyes
    from uota.runs.initial import located_init
    from uota.training.shrinking import located_cache

    paths = {"data": located, "init": located_init, "eyes": located_eyes, "cache_in": located_cache}
    asked = values | {name: locate(values[name]) for name, locate in paths.items()}
    default = Pretrain().as_flat()
    for name in default:
        if asked[name] != default[name] and asked[name] != its[name]:
            given = printable(str(asked[name]))
            print(f"--resume takes the run's settings: {name} stays {its[name]}, not {given}", file=sys.stderr)


COMMAND = Command("pretrain an encoder on images without labels", parser, run)
