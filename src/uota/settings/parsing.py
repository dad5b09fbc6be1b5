"""Parsers of arguments and of settings files, which report an error in one sentence instead of a page of usage."""

import json
import re
from argparse import SUPPRESS
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, get_loader, set_parsing_settings  # type: ignore[attr-defined]

from uota.console import printable
from uota.errors import UotaError
from uota.io.reading import read_text
from uota.settings.pretrain import CLOSE, LONGEST_NAME, NAMES, SECTIONS, Pretrain, nest

# Limits of a settings file; those of recipes have some hundred bytes and two levels.
CONFIG_BYTES, CONFIG_DEPTH = 10**6, 20
# Flags of `uota pretrain` that a settings file may also contain, as --print_config writes them.
SWITCHES = ("resume", "overwrite")
NO_SETTINGS = ("config", "out", *SWITCHES)

# How argparse begins its message about flags that it does not know.
UNKNOWN = "unrecognized arguments:"

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list in brackets, such as [0.6, 0.8] or [predictor]",
    "dict": "a mapping, such as {local: {scale: [0.1, 0.3]}}",
    "NoneType": "null",
}


set_parsing_settings(docstring_parse_attribute_docstrings=True)

Settings = TypeVar("Settings")


class Parser(ArgumentParser):
    """jsonargparse's parser with errors in one sentence, flags in full only, and dashes equal to underscores.

    Attributes:
        aliases: other names of flags, without dashes: {"lr": "optimization.learning_rate"}.
        sections: names of groups of settings, which are no flags themselves.
        replaced: what does the work of flags that there were once, as a sentence's end: {"files": "uota misfiled …"}.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self.aliases: dict[str, str] = {}
        self.sections: tuple[str, ...] = ()
        self.replaced: dict[str, str] = {}

    def parse_args(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> Any:  # type: ignore[override]
        """Parse arguments; a flag may be given by any of its names."""
        canonical = None if args is None else [self._canonical(argument) for argument in args]
        return super().parse_args(canonical, *others, **settings)

    def _canonical(self, argument: str) -> str:
        if not argument.startswith("--"):
            return argument
        flag, equals, value = argument[2:].partition("=")
        flag = flag.replace("-", "_")
        name, dot, key = flag.partition(".")  # of method_options.hidden
        if flag in self.replaced:
            raise UotaError(f"--{flag} is gone: use {self.replaced[flag]}")
        if flag in self.aliases:
            flag = self.aliases[flag]
        elif flag in self.sections:
            raise UotaError(f"{flag} is a section; give one of its settings, as --{flag}.NAME ({self.prog} --help)")
        elif name in self.aliases and name not in SECTIONS:
            flag = f"{self.aliases[name]}{dot}{key}"
        return f"--{flag}{equals}{value}"

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error as one sentence.

        Raises:
            UotaError: always.
        """
        parser = getattr(ex, "subcommand_parser", None) or self
        raise UotaError(f"{sentence(message)}{parser._nearest_flag(message)} ({parser.prog} --help)") from ex

    def _nearest_flag(self, message: str) -> str:
        """Return the question whether the flag nearest to an unknown one is meant; empty for other messages."""
        if not message.startswith(UNKNOWN):
            return ""
        words = message.removeprefix(UNKNOWN).split()
        unknown = [word[2:].partition("=")[0] for word in words if word.startswith("--")]
        flags = {flag.removeprefix("--") for flag in self._option_string_actions} - set(self.sections)
        if not unknown:
            return f"; did you mean --data {words[0]}?" if words and "data" in flags | self.aliases.keys() else ""
        nearest = get_close_matches(unknown[0][:LONGEST_NAME], sorted(flags | self.aliases.keys()), 1, CLOSE)
        return f"; did you mean --{nearest[0]}?" if nearest else ""


class FileParser(Parser):
    """Parser of the settings in a file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error as one sentence that names the file.

        Raises:
            UotaError: always.
        """
        raise UotaError(f"{self.file}: {sentence(message).removeprefix('--')}; correct the file or start again") from ex


def settings_in_file(kind: type[Settings], values: Any, file: Path) -> Settings:
    """Build typed settings from the content of a file, as strictly as from the command line.

    Args:
        kind: dataclass of the settings.
        values: content of the file, parsed from JSON or YAML.
        file: path to name in messages.

    Raises:
        UotaError: a setting is unknown, of another type or out of its range.
    """
    parser = FileParser(file)
    if not isinstance(values, dict):
        parser.error("it holds no settings")
    if kind is Pretrain:
        add_sections(parser)
        try:
            values = nest(values)
        except UotaError as error:  # an unknown name
            parser.error(str(error), error)
    else:
        parser.add_class_arguments(kind, nested_key=None)
    if name := _null_name(kind, values):  # jsonargparse takes null for any type
        parser.error(f"{name} is null; leave it out, or set it")
    try:
        read = parser.parse_object(values).as_dict()
    except UotaError:
        raise
    except Exception as error:  # jsonargparse raises about anything at values that are nested deeply or endlessly
        parser.error(str(error).partition("\n")[0] or type(error).__name__, error)
    try:
        return build_settings(kind, read)
    except UotaError as error:  # a value out of its range
        parser.error(str(error), error)


class SettingsFile(ActionConfigFile):
    """`--config FILE` with settings of pretraining in sections, or flat as earlier versions wrote them."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Add the settings of a file to those that are parsed."""
        try:
            read = get_loader("yaml")(read_text(values, CONFIG_BYTES))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise _no_settings(Path(values), error) from error
        if not isinstance(read, dict):
            raise _no_settings(Path(values), "it has no names with values")
        try:
            nested = nest(read, NO_SETTINGS)
        except UotaError as error:
            raise UotaError(f"{printable(Path(values))}: {error}") from error
        if nested.get("config") is not None:
            raise _no_settings(Path(values), "config names another file; give both, as --config FIRST --config SECOND")
        if nested.get("out", "") is None or any(nested.get(name) not in (None, True, False) for name in SWITCHES):
            raise _no_settings(Path(values), f"out must be a folder, and {' and '.join(SWITCHES)} true or false")
        try:
            text = _as_yaml(nested)
        except (TypeError, ValueError) as error:
            raise _no_settings(Path(values), "it has a number that is not finite, or a name that is no text") from error
        self.apply_config(parser, cfg, self.dest, text)


def _as_yaml(values: dict[str, Any]) -> str:
    """Return values as JSON that a YAML parser reads: JSON's surrogate pairs are not YAML."""
    text = json.dumps(values, default=str, allow_nan=False, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", text)


def _no_settings(path: Path, reason: object) -> UotaError:
    why = " ".join(str(reason).split())
    return UotaError(f"{printable(path)} is no file of settings: {why}; see `uota pretrain --help`")


def add_sections(parser: Parser) -> None:
    """Add the settings of pretraining, each section as a group of options."""
    parser.sections = tuple(SECTIONS)
    for section, kind in SECTIONS.items():
        parser.add_class_arguments(kind, nested_key=section)
        parser._option_string_actions[f"--{section}"].help = SUPPRESS  # jsonargparse's, of a file with the section


def build_settings(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Build the dataclass of settings, with its sections, from plain values.

    Raises:
        UotaError: a value is out of its range.
    """
    if kind is not Pretrain:
        return kind(**values)
    return kind(**{name: SECTIONS[name](**values[name]) for name in values})


def _null_name(kind: type, values: dict[str, Any]) -> str | None:
    """Return the name of a setting that is null and may not be; None if there is none."""
    hints = get_type_hints(kind)
    for name in values.keys() & hints.keys():
        if name in SECTIONS and isinstance(values[name], dict):
            if found := _null_name(SECTIONS[name], values[name]):
                return found
        elif values[name] is None and NoneType not in get_args(hints[name]):
            return name
    return None


def check_config(path: Path) -> None:
    """Check that a YAML file of settings is small, shallow and valid before a parser follows its content.

    Raises:
        UotaError: it is too large, too deep or invalid.
    """
    try:
        depth, text = 0, read_text(path, CONFIG_BYTES)
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it refers to parts of itself (*name); write them out")
            if depth > CONFIG_DEPTH:
                raise ValueError(f"it is nested more than {CONFIG_DEPTH} deep")
    except OSError as error:
        raise UotaError(f"{printable(path)} cannot be read: {error.strerror or error}; give a YAML file") from error
    except UnicodeDecodeError as error:
        raise UotaError(f"{printable(path)} is not UTF-8; save it as UTF-8") from error
    except (ValueError, yaml.YAMLError) as error:
        raise _no_settings(path, error) from error


class OptionsParser(Parser):
    """Parser of the options of a method, which are a mapping within the settings."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error as one sentence that names the option.

        Raises:
            UotaError: always.
        """
        raise UotaError(f"method_options: {sentence(message).removeprefix('--')}") from ex


def options_of(build: Callable[..., Any], values: dict[str, Any], skip: str) -> dict[str, Any]:
    """Read the options of a constructor according to its annotations.

    Args:
        build: the constructor.
        values: some of its options.
        skip: parameter that is not an option.

    Raises:
        UotaError: one is of another type.
    """
    if not values:  # as usual; the parser takes longer than building a small method
        return {}
    parser = OptionsParser()
    parser.add_class_arguments(build, nested_key=None, skip={skip})
    read = parser.parse_object(values).as_dict()
    return {name: read[name] for name in values}


def sentence(message: str) -> str:
    """Rephrase an error of jsonargparse for users."""
    key = re.search(r'Parser key "([^"]+)"', message)
    value = re.search(r"(?:Got|Given) value: (.*?)(?=\n\s*- Expected|\Z)", message, re.DOTALL)
    choices = re.search(r"Literal\[(.*?)\]", message)
    expected = re.split(r"(?:Got|Given) value", message)[0]
    kinds = [KINDS[kind] for kind in re.findall(r"<class '(\w+)'>", expected) if kind in KINDS]
    if not (key and value and (choices or kinds)):
        return " ".join(message.split())
    if choices and kinds:
        must = f"it must be {' or '.join(dict.fromkeys(kinds))}, or {choices[1]}".replace("'", "")
    elif choices:
        must = f"choose one of {choices[1]}".replace("'", "")
    else:
        must = f"it must be {' or '.join(dict.fromkeys(kinds))}"
    return f"--{_flag(key[1])} is {' '.join(value[1].split())}; {must}"


def _flag(key: str) -> str:
    """The short flag of a key of jsonargparse's, which has the command and the section before the field."""
    *_, section, name = f".{key}".split(".")
    return NAMES.get((section, name), name)
