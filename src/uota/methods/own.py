"""Methods of the user's own: which of them this process may use, and what they must provide.

Importing a module runs it, and building a class runs its constructor. A run's settings and a YAML file are data, so the
name of a method in them is only looked up here, among those that the user allowed on the command line, or in code by
`allow`.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from uota.errors import UotaError
from uota.methods.card import Card, Method

MEMBERS = ("embed", "loss")
# Classes by name; None: not imported yet.
_allowed: dict[str, Callable[..., Method] | None] = {}


def is_own(name: str) -> bool:
    """Whether a name has the form of a method of the user's own, `package.module.Class`."""
    return "." in name and all(part.isidentifier() for part in name.split("."))


def method_flag(name: str) -> str:
    """The flag that allows a run's method to a command that reads the run; empty for the package's own methods."""
    return f" --method {name}" if is_own(name) else ""


def allow(method: str | type[nn.Module]) -> str:
    """Allow this process to use a method of your own, and return its name for `Pretrain.from_flat(method=...)`.

    Args:
        method: the class, or its name `package.module.Class`, which is imported on first use.

    Raises:
        UotaError: the name has another form, or the class cannot be trained.
    """
    if not isinstance(method, str):
        name = f"{method.__module__}.{method.__qualname__}"
        _allowed[name] = _check_class(method, name)
        return name
    if not is_own(method):
        raise UotaError(f"{method!r} does not name a method of your own; give package.module.Class")
    _allowed.setdefault(method, None)
    return method


@contextmanager
def allowing(names: Iterable[str]) -> Iterator[None]:
    """Allow methods within a block."""
    before = dict(_allowed)
    for name in names:
        allow(name)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def own_method(name: str) -> Card | None:
    """Find a method of the user's own; None if the name has another form.

    Raises:
        UotaError: it has not been allowed, cannot be imported, or is not a class that can be trained.
    """
    if name not in _allowed:
        if not is_own(name):
            return None
        raise UotaError(
            f"the method {name} is not one of uota's, and a file may not choose code to run; if you trust that code, "
            f"add --method {name} to the command (in Python: uota.methods.allow({name!r}))"
        )
    own = _allowed[name]
    if own is None:
        own = _allowed[name] = _check_class(_import(name), name)
    return Card(build=own, title=own.__name__)


def check_built(method: Any, name: str) -> None:
    """Check that a method has the attributes that training needs.

    Raises:
        UotaError: it lacks one of them.
    """
    if not isinstance(getattr(method, "encoder", None), nn.Module):
        raise UotaError(f"the method {name} has no encoder; let its constructor set self.encoder = encoder")
    if not isinstance(getattr(method, "dim", None), int) or method.dim < 1:
        raise UotaError(f"the method {name} has no dim; let its constructor set self.dim, the width of its projections")


def _import(name: str) -> Any:
    module, _, cls = name.rpartition(".")
    if str(Path.cwd()) not in sys.path:  # `python` searches the current folder, and the `uota` command does not
        sys.path.append(str(Path.cwd()))
    try:
        return getattr(import_module(module), cls)
    except Exception as error:  # the module may raise anything
        raise UotaError(
            f"the method {name} cannot be imported: {type(error).__name__}: {error}; "
            "give package.module.Class on Python's path, or fix the module"
        ) from error


def _is_network_class(x: object) -> bool:
    return isinstance(x, type) and issubclass(x, nn.Module)


def _check_class(own: Any, name: str) -> Callable[..., Method]:
    """Check a class before any of its code is called."""
    if not _is_network_class(own):
        raise UotaError(f"{name} is not a class of torch.nn.Module; see docs/your-own-method.md")
    lacking = [member for member in MEMBERS if not callable(getattr(own, member, None))]
    if lacking:
        raise UotaError(f"{name} has no function {' and no '.join(lacking)}; see docs/your-own-method.md")
    try:
        parameters = list(signature(own).parameters)
    except (TypeError, ValueError):
        parameters = []
    if parameters[:1] != ["encoder"]:
        raise UotaError(f"the constructor of {name} must take encoder first; see docs/your-own-method.md")
    return own
