"""What help texts say, and which spellings of flags commands take."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest

from uota import __version__
from uota.commands import COMMANDS
from uota.commands.cli import main
from uota.settings.evaluation import SETTINGS
from uota.settings.pretrain import SECTIONS
from uota.settings.transfer import TASKS

HELPS = [
    "",
    *COMMANDS,
    *(f"evaluate {protocol}" for protocol in SETTINGS),
    *(f"transfer {task}" for task in TASKS),
]


@pytest.fixture
def help_of(capsys, monkeypatch):
    """The help text of a command."""
    monkeypatch.setenv("COLUMNS", "100")

    def read(command):
        with pytest.raises(SystemExit) as stopped:
            main([*command.split(), "--help"])
        assert not stopped.value.code
        return capsys.readouterr().out

    return read


@pytest.fixture
def parsed(monkeypatch):
    """The options that a command is run with; running it is left out."""
    found = []
    for name, command in COMMANDS.items():
        monkeypatch.setitem(COMMANDS, name, command._replace(run=found.append))

    def parse(line):
        assert main(shlex.split(line)[1:]) == 0, line
        return found.pop()

    return parse


def examples(text):
    _, _, found = re.split(r"^(examples?):\n", text, flags=re.MULTILINE)
    return [line.strip() for line in found.splitlines()]


def flags(text):
    """The flags at the start of each entry, as a help text writes them."""
    return re.findall(r"^  (-.*?)(?:  .*)?$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("command", HELPS)
def test_the_usage_line_is_short_and_as_people_type_it(command, help_of):
    usage, _, rest = help_of(command).partition("\n\n")
    assert usage.startswith(f"usage: uota {command}".rstrip())
    assert len(usage.splitlines()) <= 2
    assert "[options] " not in f"{usage} ".removesuffix("[options] ")
    assert "\n  run " not in rest  # positional arguments are in capitals
    if command.partition(" ")[0] in ("evaluate", "transfer"):
        assert " RUN " in usage


@pytest.mark.parametrize("command", HELPS)
def test_every_help_ends_in_examples_that_parse(command, help_of, parsed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = examples(help_of(command))
    assert lines
    assert any(line.startswith(f"uota {command}".rstrip()) for line in lines)
    for line in lines:
        parsed(line)


@pytest.mark.parametrize("command", HELPS)
def test_help_says_each_default_once_and_no_types(command, help_of):
    entries = re.split(r"\n  (?=-)", help_of(command))
    assert all(entry.count("(default:") <= 1 for entry in entries)
    assert all("null: " not in entry for entry in entries)
    assert all("(type:" not in entry and ", type:" not in entry for entry in entries)


@pytest.mark.parametrize(
    "shown",
    ["--data, --data.source FOLDER", "--views, --views.preset PRESET", "--method, --method.name NAME",
     "--backbone, --method.backbone BACKBONE", "--epochs, --optimization.epochs N",
     "--batch-size, --optimization.batch_size N", "--lr, --optimization.learning_rate X",
     "--arbiter, --arbitration.arbiter {auto,chosen,cohort,learned,two_groups,mahalanobis,none}",
     "--seed, --runtime.seed N", "--devices, --runtime.devices N", "--precision, --runtime.precision {32,bf16,fp16,64}",
     "--workers, --runtime.workers N"],
)  # fmt: skip
def test_pretrain_shows_the_short_flag_before_the_setting(shown, help_of):
    assert shown in flags(help_of("pretrain"))


def test_pretrain_groups_settings_by_section_and_hides_the_flags_of_whole_sections(help_of):
    text = help_of("pretrain")
    assert re.findall(r"^(\w+):\n  \w", text, flags=re.MULTILINE)[: len(SECTIONS)] == list(SECTIONS)
    assert not {f"--{section}" for section in SECTIONS} & {flag.split(" ")[0] for flag in flags(text)}


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [("uota pretrain --batch-size 64", "optimization.batch_size", 64),
     ("uota pretrain --optimization.batch-size=64", "optimization.batch_size", 64),
     ("uota pretrain --lr 0.5", "optimization.learning_rate", 0.5),
     ("uota evaluate linear-sgd run --batch-size 64", "linear-sgd.batch_size", 64),
     ("uota evaluate knn run --image-megabytes=9", "knn.image_megabytes", 9),
     ("uota transfer detection run --checkpoint-every 7", "detection.checkpoint_every", 7),
     ("uota inspect --view-options '{local: {scale: [0.1, 0.3]}}'", "view_options", {"local": {"scale": [0.1, 0.3]}}),
     ("uota embed run --out a.csv --pixel-range [0,9]", "pixel_range", [0, 9]),
     ("uota shard folder --out shards --shard-size 8", "shard_size", 8)],
)  # fmt: skip
def test_dashes_and_underscores_in_flags_are_alike(line, name, value, parsed):
    assert parsed(line)[name] == value
    assert parsed(re.sub(r"(?<=\w)-(?=\w+[ =])", "_", line).replace("linear_sgd", "linear-sgd"))[name] == value


@pytest.mark.parametrize("command", HELPS[1:])
def test_an_unknown_flag_points_to_the_help_of_the_command(command, capsys):
    assert main([*command.split(), "--nonsense=1"]) == 2
    assert f"(uota {command} --help)" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert not stopped.value.code
    assert capsys.readouterr().out == f"uota {version('uota')}\n"
    assert version("uota") == __version__


def test_the_version_is_printed_without_torch():
    code = """
import sys
from uota.commands.cli import main
try:
    main(["--version"])
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"uota {__version__}\n"), done.stderr
