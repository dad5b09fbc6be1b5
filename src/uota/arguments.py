"""Arguments of commands, and settings in files, that are wrong: said in one sentence instead of a page of usage."""

import re
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

from jsonargparse import ArgumentParser

from uota.errors import UotaError

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list, such as [0.6, 0.8]",
    "dict": "a mapping, such as {local: {scale: [0.1, 0.3]}}",
    "NoneType": "null",
}


Settings = TypeVar("Settings")


class Parser(ArgumentParser):
    """jsonargparse's, but for its errors; no name may be shortened."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong.

        Raises:
            UotaError: always.
        """
        parser = getattr(ex, "subcommand_parser", None) or self
        raise UotaError(f"{sentence(message)} ({parser.prog.replace(' [options]', '')} --help)") from ex


class FileParser(Parser):
    """A parser of settings that a file holds."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong with the file.

        Raises:
            UotaError: always.
        """
        raise UotaError(f"{self.file}: {sentence(message).removeprefix('--')}; correct the file or start anew") from ex


def settings_in_file(kind: type[Settings], values: Any, file: Path) -> Settings:
    """Build typed settings from what a file holds, as strictly as from the command line.

    Args:
        kind: dataclass of the settings.
        values: the file's content, as JSON or YAML gives it.
        file: for messages.

    Raises:
        UotaError: a setting is unknown, of another type or out of its range.
    """
    parser = FileParser(file)
    parser.add_class_arguments(kind, nested_key=None)
    if not isinstance(values, dict):
        parser.error("it holds no settings")
    hints = get_type_hints(kind)
    for name in values.keys() & hints.keys():  # jsonargparse takes null for any type
        if values[name] is None and NoneType not in get_args(hints[name]):
            parser.error(f"{name} is null; leave it out, or set it")
    try:
        read = parser.parse_object(values).as_dict()
    except UotaError:
        raise
    except Exception as error:  # jsonargparse raises about anything at values that are nested deeply or endlessly
        parser.error(str(error).partition("\n")[0] or type(error).__name__, error)
    try:
        return kind(**read)
    except UotaError as error:  # a value out of its range
        parser.error(str(error), error)


def sentence(message: str) -> str:
    """What jsonargparse says of an argument, for a person."""
    key = re.search(r'Parser key "(?:[^"]*\.)?([^".]+)"', message)
    value = re.search(r"(?:Got|Given) value: (.*)", message, re.DOTALL)
    choices = re.search(r"Literal\[(.*?)\]", message)
    kinds = [KINDS[kind] for kind in re.findall(r"<class '(\w+)'>", message) if kind in KINDS]
    if not (key and value and (choices or kinds)):
        return " ".join(message.split())
    if choices:
        must = f"choose one of {choices[1]}".replace("'", "")
    else:
        must = f"it must be {' or '.join(dict.fromkeys(kinds))}"
    return f"--{key[1]} is {' '.join(value[1].split())}; {must}"
