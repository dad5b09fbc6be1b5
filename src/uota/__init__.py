"""uota: self-supervised learning that notices which augmented views no longer show their image."""

from typing import TYPE_CHECKING, Any

from uota.arbitration import Arbiter, Arbitration, ViewSampler, arbitrate, thumbnails
from uota.errors import UotaError

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` imports it
    from uota.inspection import inspect

__version__ = "0.1.0"
__all__ = ["Arbiter", "Arbitration", "UotaError", "ViewSampler", "arbitrate", "inspect", "thumbnails"]


def __getattr__(name: str) -> Any:
    """`uota.inspect` on demand: arbitration alone needs torch only, inspection all of the package."""
    if name != "inspect":
        raise AttributeError(f"module 'uota' has no attribute {name!r}")
    from uota.inspection import inspect

    return inspect


def __dir__() -> list[str]:
    """All names of the module, with those that are imported on demand."""
    return sorted({*globals(), *__all__})
