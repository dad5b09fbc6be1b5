"""Self-supervised learning that notices which augmented views no longer show their image.

The names below are imported when they are first used, so that `uota --help` does not wait for torch, and arbitration
alone needs nothing of the package but itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from uota.errors import UotaError

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` imports them
    from uota import arbitration
    from uota.arbitration import Arbiter, Arbitration, ViewSampler, arbitrate, thumbnails
    from uota.inspection import inspect
    from uota.membership.api import misfiled
    from uota.membership.result import Misfiled

__version__ = "0.1.0"
__all__ = [
    "Arbiter",
    "Arbitration",
    "Misfiled",
    "UotaError",
    "ViewSampler",
    "arbitrate",
    "arbitration",
    "inspect",
    "misfiled",
    "thumbnails",
]

_MODULE_OF = {
    "Arbiter": "uota.arbitration",
    "Arbitration": "uota.arbitration",
    "ViewSampler": "uota.arbitration",
    "arbitrate": "uota.arbitration",
    "thumbnails": "uota.arbitration",
    "inspect": "uota.inspection",
    "Misfiled": "uota.membership.result",
    "misfiled": "uota.membership.api",
}


if not TYPE_CHECKING:  # type checkers refuse names that are not imported above

    def __getattr__(name: str) -> Any:
        """Import a public name on first use (PEP 562)."""
        if name == "arbitration":
            return import_module("uota.arbitration")
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'uota' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value


def __dir__() -> list[str]:
    """List the names of the module, with those that are imported on first use."""
    return sorted({*globals(), *__all__})
