"""uota: self-supervised learning that notices which augmented views no longer show their image."""

from typing import Any

from uota.arbitration import Arbiter, Arbitration, ViewSampler, arbitrate, thumbnails
from uota.errors import UotaError

__version__ = "0.1.0"
__all__ = ["Arbiter", "Arbitration", "UotaError", "ViewSampler", "arbitrate", "inspect", "thumbnails"]


def __getattr__(name: str) -> Any:
    """`uota.inspect` on demand: arbitration alone needs torch only, inspection all of the package."""
    if name != "inspect":
        raise AttributeError(f"module 'uota' has no attribute {name!r}")
    from uota.inspection import inspect

    return inspect
