"""The photographs of Debian's packages gcompris-qt-data, gnome-backgrounds and plasma-workspace-wallpapers."""

import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

GCOMPRIS = Path("/usr/share/gcompris-qt/rcc")
WALLPAPERS = (Path("/usr/share/wallpapers"), Path("/usr/share/backgrounds"))
SUFFIXES = (".jpg", ".png", ".webp")
_FOLDERS: list[TemporaryDirectory[str]] = []  # they live as long as the process


@cache
def photographs() -> str:
    """Collect some 350 photographs in one temporary folder."""
    folder = TemporaryDirectory()
    _FOLDERS.append(folder)
    target = Path(folder.name) / "photographs"
    target.mkdir()
    for name, content in _of_gcompris():
        (target / name).write_bytes(content)
    for file in _wallpapers():
        (target / "-".join(file.parts[3:])).symlink_to(file)
    return str(target)


def _of_gcompris() -> Iterator[tuple[str, bytes]]:
    """Cut the WebP files out of Qt resource files; those with transparency are drawings and pieces of puzzles."""
    for file in sorted(GCOMPRIS.glob("*.rcc")):
        content = file.read_bytes()
        for number, match in enumerate(re.finditer(rb"RIFF(.{4})WEBP", content, re.DOTALL)):
            picture = content[match.start() : match.start() + 8 + int.from_bytes(match[1], "little")]
            if Image.open(BytesIO(picture)).mode == "RGB":
                yield f"{file.stem}-{number:03}.webp", picture


def _wallpapers() -> Iterator[Path]:
    """Yield the largest file of each wallpaper, which comes in several sizes, and each background of GNOME."""
    for root in WALLPAPERS:
        files = [file for file in sorted(root.rglob("*")) if file.suffix in SUFFIXES and not file.is_symlink()]
        packages = {_package(file): file for file in sorted(files, key=_size)}
        yield from sorted(packages.values())


def _size(file: Path) -> int:
    return file.stat().st_size


def _package(file: Path) -> Path:
    """Return the folder of the wallpaper of which this is one size, or the file itself."""
    return next((folder.parent for folder in file.parents if folder.name == "contents"), file)
