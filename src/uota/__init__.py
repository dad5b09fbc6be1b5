"""uota: self-supervised learning that notices which augmented views no longer show their image."""

from uota.arbitration import Arbiter, Arbitration, ViewSampler, arbitrate, thumbnails
from uota.errors import UotaError

__version__ = "0.1.0"
__all__ = ["Arbiter", "Arbitration", "UotaError", "ViewSampler", "arbitrate", "thumbnails"]
