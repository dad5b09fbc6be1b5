"""Pages as single files that need no network, made of a template, styles, scripts and data."""

import json
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import isfinite
from typing import Any

import numpy as np
from numpy import ndarray

from uota.console import printable

SHARED = files("uota.pages") / "parts"
# Scripts of all pages, in order of their dependencies.
SCRIPTS = ("format", "dom", "csv", "pager", "navigation")


def assemble(parts: Traversable, scripts: Sequence[str], title: str, data: Any, **html: str) -> str:
    """Assemble a page as text.

    Args:
        parts: folder with page.html, style.css and the scripts of this page.
        scripts: names of these scripts, in order of their dependencies.
        title: of the page, as plain text.
        data: what the scripts read; see `plain`.
        html: further parts of the template by name, as HTML.
    """
    written = json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"))
    filled = {
        "title": title.replace("&", "&amp;").replace("<", "&lt;"),
        "style": f"{_read(SHARED, 'base.css')}\n{_read(parts, 'style.css')}",
        "data": written.replace("<", "\\u003c"),
        **html,
        "script": "\n".join(
            [_read(SHARED, f"{name}.js") for name in SCRIPTS] + [_read(parts, f"{name}.js") for name in scripts]
        ),
    }
    text = _read(parts, "page.html")
    for name, part in filled.items():
        text = text.replace(f"<!--{name}-->", part, 1)
    return text


def plain(value: Any) -> Any:
    """Convert a value to JSON types: arrays to lists, numbers to ten digits, and non-finite ones to None.

    Control characters of text, and bytes that are not UTF-8, are escaped.
    """
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, ndarray):
        return plain(value.tolist())
    if isinstance(value, str):
        return "\n".join(printable(line) for line in value.split("\n"))
    if value is None:
        return None
    if isinstance(value, Sequence):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.10g}") if isfinite(value) else None
    return plain(vars(value)) if hasattr(value, "__dataclass_fields__") else value


def _read(folder: Traversable, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")
