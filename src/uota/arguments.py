"""Arguments of commands that are wrong, said in one sentence instead of a page of usage."""

import re
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from uota.errors import UotaError

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list, such as [0.6, 0.8]",
    "dict": "a mapping, such as {local: {scale: [0.1, 0.3]}}",
    "NoneType": "null",
}


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
