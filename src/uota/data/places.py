"""Where the images that a user named are stored."""

import os
import re
from pathlib import Path

from uota.data.open import NAMES
from uota.io.outputs import path_of
from uota.io.reading import is_same_path

ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://|pipe:")
PATTERN = re.compile(r"[{}*?\[\]]")


def located(data: str) -> str:
    """A name for the same images that is valid in every working directory.

    >>> located("demo-scenes"), located("/data/birds#image=left")
    ('demo-scenes', '/data/birds#image=left')
    """
    if not data or data in NAMES or ADDRESS.match(data):
        return data
    path = path_of(data).absolute()
    plain = Path(os.path.abspath(path))
    # a/../b is b only if a is not a link.
    return str(plain if is_same_path(path, plain) or ".." not in path.parts else path)


def places_of(data: str) -> list[Path]:
    """The folder or file of these images; for a pattern of shards, the part of the path before the pattern."""
    if not data or data in NAMES or ADDRESS.match(data):
        return []
    path = path_of(data)
    if not path.exists() and "#" in data:  # columns of a saved data set
        path = path_of(data.partition("#")[0])
    if path.exists():
        return [path]
    patterns = [number for number, part in enumerate(path.parts) if PATTERN.search(part)]
    in_folders = patterns and patterns[0] < len(path.parts) - 1
    return [Path(*path.parts[: patterns[0]]) if in_folders else path]
